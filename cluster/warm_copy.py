"""Programs of ours as copies of the warm process of this process's Ray, see ``cluster.warm``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from cluster.warm import prepared
from cluster.warm_worker import copied


class Copy:
    """A copy that runs a module; it is no child of this process.

    Args:
        pid: of the copy.
        stdin: file descriptor of what it reads.
        stdout: file descriptor of what it writes.

    Attributes:
        stdin: the same, for the caller to close.
        stdout: the same.
    """

    def __init__(self, pid: int, stdin: int, stdout: int) -> None:
        self.stdin, self.stdout = open(stdin, "wb", buffering=0), open(stdout, "rb", buffering=0)  # noqa: SIM115
        self._process: psutil.Process | None = None
        with suppress(psutil.NoSuchProcess):
            self._process = psutil.Process(pid)

    def kill(self) -> None:
        """End it, and what it has started, at once."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            for process in (*self._process.children(recursive=True), self._process):
                process.kill()


def start_copy(module: str, *words: str) -> Copy | None:
    """Run a module as ``python -m`` would, in a copy; its standard error is lost.

    Args:
        module: which runs until its stdin ends.
        words: its arguments.

    Returns:
        The copy; None where there is no warm process, or it makes none.
    """
    warm = prepared()
    if warm is None:
        return None
    read_by_copy, stdin = os.pipe()
    stdout, written_by_copy = os.pipe()
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        pid = copied(
            warm.address,
            ["-m", module, *words],
            warm.environment,
            str(Path.cwd()),
            [read_by_copy, written_by_copy, nothing],
        )
    finally:
        for file in (read_by_copy, written_by_copy, nothing):
            os.close(file)
    if pid is None:
        os.close(stdin)
        os.close(stdout)
        return None
    return Copy(pid, stdin, stdout)
