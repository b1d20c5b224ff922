"""Processes of a local cluster: known by their ids and start times, and all of them found by a mark.

Every process inherits the mark in its environment, whoever started it, so that those whose parent was killed are found
too. Nothing is ever ended by its name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "DCLF_CLUSTER"
"""The variable whose value tells the processes of one cluster from all others."""
GRACE_S = 20.0
"""How long processes may take to end by themselves; a Ray node takes 4 s."""
KILL_LIMIT_S = 30.0
"""How long killed processes may take to be gone; one that waits for a broken disk or network never is."""
KILL_WAIT_S = 5.0
"""How long to wait before those that are left are killed again."""
START_TOLERANCE_S = 0.05
"""Start times come from a clock of 100 ticks a second."""


@dataclass(frozen=True)
class Identity:
    """A process that cannot be taken for a later one with the same id.

    Attributes:
        pid: its id.
        started: seconds since the epoch.
    """

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Identity:
        """The identity of a process that is there now; ProcessLookupError where it is not."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess as error:
            raise ProcessLookupError(f"process {pid} has ended") from error

    @property
    def alive(self) -> bool:
        """Whether it runs; one that has ended and waits to be reaped does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < START_TOLERANCE_S
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a process that outlives this one, in a session that a Ctrl-C here does not reach; it writes to ``log``.

    Args:
        command: an absolute path and its arguments.
        environment: all of it.
        log: what was in it is replaced.

    Returns:
        The process's id.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], list(command), dict(environment), file_actions=files, setsid=True)


def ended(pid: int) -> int | None:
    """The exit code of a process that this one started, negative for a signal; None while it runs."""
    ended_pid, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended_pid else None


def marked(mark: str) -> list[psutil.Process]:
    """All processes of a cluster that run now: those with its mark, and what they have started.

    Ray's workers and agents write their titles over their environment, so they are found by their parents alone; they
    end by themselves when their node does.
    """
    others = [process for process in psutil.process_iter() if not _is_over(process)]
    members: list[psutil.Process] = []
    more = [process for process in others if _has(process, mark)]
    while more:
        members += more
        pids = {process.pid for process in members}
        others = [process for process in others if process.pid not in pids]
        more = [process for process in others if _parent(process) in pids]
    return members


def end_all(leaders: Sequence[Identity], mark: str, grace_s: float = GRACE_S) -> list[int]:
    """Terminate the leaders, which end what they started; wait, then kill every remaining process with the mark.

    Args:
        leaders: of its nodes and servers, in the order in which to ask them.
        mark: the cluster's mark.
        grace_s: how long they may take.

    Returns:
        The ids of processes that still run, though they were killed; none as a rule.
    """
    before = marked(mark)
    running = [psutil.Process(leader.pid) for leader in leaders if leader.alive]
    for process in running:
        _signal(process, kill=False)
    psutil.wait_procs(running, timeout=grace_s)
    # Those whose parents are gone by now are known from before; and a process may start another while it is ended.
    limit = time.monotonic() + KILL_LIMIT_S
    while left := [*(process for process in before if not _is_over(process)), *marked(mark)]:
        if time.monotonic() > limit:
            return sorted({process.pid for process in left})
        for process in left:
            _signal(process, kill=True)
        psutil.wait_procs(left, timeout=KILL_WAIT_S)
    return []


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log; empty where there is none."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _has(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _is_over(process: psutil.Process) -> bool:
    """Whether it has ended, reaped or not; another with its id is not it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return None


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return
