"""Processes of a test: started in sessions of their own, ended by their ids, and all found again by a mark."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil

from tests.tune.tracking.server import wait_until

CODE = "import sys; from tune.commands.main import main; sys.exit(main())"
MARK = "DCLF_TEST_PROCESSES"
UNWANTED = ("MLFLOW_TRACKING_URI", "RAY_")
"""How variables begin that tell of a server or a Ray of this process."""


def joining(address: str) -> dict[str, str]:
    """Variables of processes that join a Ray of this process.

    Args:
        address: of Ray's control store.
    """
    keys = {key: value for key, value in os.environ.items() if key.startswith("RAY_AUTH_")}
    return {"RAY_ADDRESS": address, **keys}


class Processes:
    """What a test started, with all that those processes started in turn: they inherit a mark in their environment.

    Args:
        environment: of every process, beside this process's own.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._mark = uuid4().hex
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(UNWANTED)}
        own = {MARK: self._mark, "OMP_NUM_THREADS": "1"}
        self.environment = {**inherited, **own, **(environment or {})}

    def dclf(self, folder: Path, *words: str, address: str = "") -> "Driver":
        """The command in its own session, working in a folder, on a Ray cluster or one of its own."""
        ray = {"RAY_ADDRESS": address} if address else {}
        return Driver([sys.executable, "-c", CODE, *words], folder, {**self.environment, **ray})

    def survivors(self) -> list[psutil.Process]:
        """Those that are there now; a process that has ended and waits to be reaped is not."""
        return of_mark(self._mark)

    def all_gone(self) -> bool:
        return not self.survivors()

    def wait_until_gone(self, limit_s: float) -> None:
        """Return when nothing is left; AssertionError after the limit, which says what is."""
        try:
            wait_until(self.all_gone, limit_s)
        except AssertionError as error:
            raise AssertionError(f"{error}: {[(one.pid, one.cmdline()[:8]) for one in self.survivors()]}") from None

    def end(self) -> None:
        """SIGKILL to whatever is left, by id."""
        while survivors := self.survivors():
            for process in survivors:
                kill(process)
            psutil.wait_procs(survivors, timeout=5)


def of_mark(mark: str) -> list[psutil.Process]:
    """The processes that have inherited a mark and have not ended."""

    def has(process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    return [process for process in psutil.process_iter() if has(process)]


class Driver:
    """A ``dclf`` command on its way."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._log = folder / f"driver-{uuid4().hex[:8]}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env=dict(environment), stdout=log, stderr=log, start_new_session=True
            )

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the driver alone."""
        assert self.running, self.output
        self._process.kill()
        self._process.wait()

    def end(self, limit_s: float = 300.0) -> int:
        """Wait for its end; the exit code."""
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"did not end within {limit_s:.0f} s; it said:\n{self.output}") from None

    def wait_for(self, words: str, limit_s: float = 120.0) -> None:
        """Until it has said so."""
        wait_until(lambda: words in self.output or not self.running, limit_s)
        assert words in self.output, self.output


def kill(process: psutil.Process) -> None:
    """SIGKILL, unless it is gone."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def kill_tree(process: psutil.Process) -> None:
    """SIGKILL to a process and all below it, the parents first, so that nobody replaces a child."""
    below = process.children(recursive=True) if process.is_running() else []
    kill(process)
    for child in below:
        kill(child)
    psutil.wait_procs([process, *below], timeout=10)


def title(process: psutil.Process) -> str:
    """What a process is called; empty for one that is gone."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def suspend(process: psutil.Process) -> None:
    """SIGSTOP; it has stopped, or has ended, when this returns."""
    with suppress(psutil.NoSuchProcess):
        process.suspend()
        wait_until(lambda: process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))


def suspend_in(step: str, processes: Iterable[psutil.Process]) -> psutil.Process | None:
    """The first process that is in a step, suspended there; None where none is.

    Whoever kills a process that runs may come too late: its step ends between the look and the kill.

    Args:
        step: what Ray puts into the title of a process for as long as it is in it.
    """
    for process in processes:
        if step in title(process):
            suspend(process)
            if step in title(process):
                return process
            with suppress(psutil.NoSuchProcess):
                process.resume()
    return None
