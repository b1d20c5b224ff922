"""Ray's worker processes as copies of one that has imported what they need.

A worker of a sweep imports torch, Ray Tune and the models: six seconds of processor time and 360 MB for each. Here one
process does so while Ray starts, and workers are copies of it. A copy answers a third of a second after it is wanted,
and shares the memory until it writes to it.

The raylet runs ``cluster.warm_worker`` for each worker, which asks this process for the copy. Ray reads part of its
environment when it is imported and never again: the process imports Ray in the environment that workers will have, when
that is known, and copies are made for workers alone that have the same.
"""

from __future__ import annotations

import json
import os
import random
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from cluster.importing import own_process, uncollected
from cluster.socket_folder import short_parent

_READ_ONCE = ("RAY_JOB_ID", "RAY_RAYLET_PID")
"""What Ray reads of its environment when it is imported and that may differ between workers."""
_FIRST_JOB = "01000000"
_LONGEST_REQUEST = 1 << 20
_SOCKET = len("/dclf-warm-12345678/socket")
_STANDARD_FILES = 3


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What is ready in a worker that is a copy.

    Attributes:
        first: modules without Ray, imported while it starts.
        modules: further modules.
        later: modules for other programs of ours, imported while nobody asks for a copy.
        threads: ``OMP_NUM_THREADS`` of it, where the user has not set it: Ray sets it for an actor whose libraries have
            been imported then.
    """

    first: tuple[str, ...]
    modules: tuple[str, ...]
    threads: int
    later: tuple[str, ...] = ()


class WarmProcess:
    """The process that is copied; it ends with this one.

    Args:
        ready: what it imports.

    Attributes:
        ready: the same.
        address: path of the socket on which it takes requests.
        settings: variables of its environment that the raylet must have too.
        environment: that copies must have; empty while it is not known.
    """

    def __init__(self, ready: Ready) -> None:
        self.ready = ready
        self.settings = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(ready.threads))}
        self.environment: dict[str, str] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="dclf-warm-", dir=short_parent(_SOCKET)))
        self.address = str(self._folder / "socket")
        # Bound here: whoever asks before the process listens waits for it.
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.address)
            listening.listen()
            number = listening.fileno()
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "cluster.warm",
                    str(number),
                    *map(",".join, (ready.first, ready.modules, ready.later)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(number,),
                env={**os.environ, **self.settings},
                start_new_session=True,
            )

    def prepare(self, raylet: int) -> None:
        """Have it import the rest; returns at once.

        Args:
            raylet: process id of the raylet, which is new and has this process as its first driver.
        """
        read = {"RAY_RAYLET_PID": str(raylet), "RAY_JOB_ID": _FIRST_JOB}
        self.environment = {**os.environ, **self.settings, **read}
        _prepared.append(self)
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.connect(self.address)
            connection.sendall(json.dumps({"environment": self.environment}).encode() + b"\n")

    def close(self) -> None:
        """End it; Ray's copies end with the raylet, others with who has them."""
        if self in _prepared:
            _prepared.remove(self)
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Source:
    """What copies are made of: this process.

    Args:
        modules: imported with the first request, whether that is for a copy or not.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._read: list[str | None] | None = None

    def copied(self, connection: socket.socket) -> Sequence[str]:
        """Make the copy that somebody asks for; in the copy the script it shall run, in this process nothing."""
        asked, files = _request(connection)
        try:
            if not (self._fits(asked["environment"]) and len(files) == _STANDARD_FILES and _is_open(connection)):
                return ()
            if pid := os.fork():
                with suppress(OSError):
                    connection.sendall(b"%d" % pid)
                return ()
            _become(asked, files)
            script: list[str] = asked["script"]
            return script
        finally:
            for file in files:
                os.close(file)

    @property
    def ready(self) -> bool:
        """Whether what a copy needs has been imported."""
        return self._read is not None

    def _fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a worker with this environment can be a copy."""
        read = [environment.get(name) for name in _READ_ONCE]
        if self._read is None:
            self._read = read
            _replace_environment(environment)
            _import(self._modules)
        return read == self._read


_prepared: list[WarmProcess] = []
"""Those whose raylet runs."""


def prepared() -> WarmProcess | None:
    """That of the Ray which this process has started; None where it has none."""
    return _prepared[-1] if _prepared else None


_begun: list[WarmProcess] = []
"""Those that wait for whoever needs them."""


@contextmanager
def begun(ready: Ready) -> Iterator[None]:
    """Start the process before that which needs it: ``warm_process`` gives it to the first who asks in the block.

    One that has begun before and imports the same is that process; any other is ended.
    """
    if all(made.ready != ready for made in _begun):
        end_begun()
        _begun.append(WarmProcess(ready))
    try:
        yield
    finally:
        end_begun()


def end_begun() -> None:
    """Nobody will need those that have begun."""
    while _begun:
        _begun.pop().close()


def warm_process(ready: Ready) -> WarmProcess:
    """One that has begun, or another one; for the caller to close."""
    found = next((made for made in _begun if made.ready == ready), None)
    if found is None:
        return WarmProcess(ready)
    _begun.remove(found)
    return found


def main(listening: socket.socket, first: Sequence[str], modules: Sequence[str], later: Sequence[str]) -> None:
    """Make copies until stdin ends, as it does when the process that has started this one is gone."""
    # A collection would write to every object, and so end the sharing of the memory.
    own_process()
    _import(first)
    # Nobody waits for the copies; the raylet watches them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    source = _Source(modules)
    waiting = list(later)
    while True:
        imports = waiting and source.ready
        ready, _, _ = select.select([listening, sys.stdin], [], [], 0 if imports else None)
        if not ready:
            _import([waiting.pop(0)])
            continue
        if sys.stdin in ready:
            # Whoever was killed has left it.
            shutil.rmtree(Path(listening.getsockname()).parent, ignore_errors=True)
            return
        connection, _ = listening.accept()
        script: Sequence[str] = ()
        with connection, suppress(ConnectionError):
            script = source.copied(connection)
        if script:
            listening.close()
            _run(script)
            return


def _run(script: Sequence[str]) -> None:
    if script[0] != "-m":
        sys.argv = list(script)
        sys.path.insert(0, str(Path(script[0]).parent))
        runpy.run_path(script[0], run_name="__main__")
        return
    sys.argv = list(script[1:])
    runpy.run_module(script[1], run_name="__main__", alter_sys=True)
    sys.stdout.flush()
    # Taking torch and Ray apart object by object would take a second.
    os._exit(0)


def _import(modules: Iterable[str]) -> None:
    with uncollected():
        for name in modules:
            # Who needs the module says what is wrong with it.
            with suppress(Exception):
                import_module(name)


def _request(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What is asked for, and the standard files of who wants to be a copy."""
    text, files, _, _ = socket.recv_fds(connection, _LONGEST_REQUEST, _STANDARD_FILES)
    while not text.endswith(b"\n"):
        more = connection.recv(_LONGEST_REQUEST)
        if not more:
            raise ConnectionError("must end with a line's end, ended before")
        text += more
    asked: dict[str, Any] = json.loads(text)
    return asked, files


def _is_open(connection: socket.socket) -> bool:
    """Whether who asks still waits; somebody who does not runs the script himself."""
    try:
        return connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True


def _become(asked: Mapping[str, Any], files: Iterable[int]) -> None:
    """Be to the outside what the process that asked was."""
    for own, other in enumerate(files):
        os.dup2(other, own)
    _replace_environment(asked["environment"])
    os.chdir(asked["folder"])
    # Ray ends a worker with its whole process group.
    os.setpgrp()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Copies would draw the same numbers.
    random.seed()


def _replace_environment(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), *(list(filter(None, names.split(","))) for names in sys.argv[2:]))
