"""Turn SIGTERM and SIGHUP into an exception, so that a run that they end is closed like one ended by Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """This process was asked to end by a signal; exits with the code that shells give it.

    Args:
        number: of the signal, SIGTERM or SIGHUP.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(128 + number)
        self._name = signal.Signals(number).name

    def __str__(self) -> str:
        return self._name


def termination_signals() -> list[signal.Signals]:
    """Return the signals that ask this process to end: SIGTERM, and SIGHUP unless it is ignored, as under nohup."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM] if ignored else [signal.SIGTERM, signal.SIGHUP]


@contextmanager
def termination_raises() -> Iterator[None]:
    """Inside the ``with`` SIGTERM and SIGHUP raise ``Terminated`` in the main thread; elsewhere nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    changed = [number for number in termination_signals() if signal.getsignal(number) not in _OURS]
    before = {number: signal.signal(number, _raise) for number in changed}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) in _OURS:  # Ray may have put its own in the meantime
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _raise(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGHUP:
        # Both the kernel and the shell say that a terminal closes; the second time must not cut short the ending.
        signal.signal(number, _pass)
    raise Terminated(number)


def _pass(_number: int, _frame: FrameType | None) -> None:
    """Take no notice: this process is ending already."""


_OURS = (_raise, _pass)
