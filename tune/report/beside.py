"""Work of two halves, one of them done by a copy of this process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from cluster.machine import machine_cpus

Result = TypeVar("Result")


def in_halves(work: Callable[[int], Result]) -> tuple[Result, Result]:
    """``work(0)`` here and, where there is a second processor, ``work(1)`` in a copy of this process at the same time.

    For processes that run no other thread: in the copy nobody would open the locks that threads hold. What the copy
    does not bring to an end this process does.

    Args:
        work: does a half; what it returns can be pickled.

    Raises:
        Exception: as ``work``.
    """
    if machine_cpus() < 2:
        return work(0), work(1)
    fork = get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    copy = fork.Process(target=_as_copy, args=(work, theirs))
    copy.start()
    theirs.close()
    try:
        first = work(0)
        try:
            second: Result = ours.recv()
        except EOFError:
            second = work(1)
    finally:
        copy.kill()
        copy.join()
        ours.close()
    return first, second


def _as_copy(work: Callable[[int], Result], answer: Connection) -> None:
    """Silently: what goes wrong goes wrong again in the first process, and Ctrl-C is that one's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        answer.send(work(1))
    except Exception:  # noqa: BLE001 - said by the pipe's end
        sys.exit(1)
