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
        self._number = signal.Signals(number)

    def __reduce__(self) -> tuple[type[Terminated], tuple[int]]:
        return type(self), (self._number,)

    def __str__(self) -> str:
        return self._number.name


def termination_signals() -> list[signal.Signals]:
    """Return the signals that ask this process to end: SIGTERM, and SIGHUP unless it is ignored, as under nohup."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM] if ignored else [signal.SIGTERM, signal.SIGHUP]


class _Handler:
    """Raises the exit of a signal.

    Attributes:
        came: the signal that came; None before any.
    """

    def __init__(self) -> None:
        self.came: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.came = number
        if number == signal.SIGHUP:
            # Both the kernel and the shell say that a terminal closes; the second time must not cut short the ending.
            signal.signal(number, _pass)
        raise Terminated(number)


@contextmanager
def termination_raises() -> Iterator[None]:
    """Inside the ``with`` SIGTERM and SIGHUP raise ``Terminated`` in the main thread; elsewhere nothing is changed.

    While Ray waits for something, it has a plain ``SystemExit(1)`` in place of an exit that a signal's handler raises;
    what leaves the ``with`` is ``Terminated`` again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = _Handler()
    changed = [number for number in termination_signals() if not _is_ours(signal.getsignal(number))]
    before = {number: signal.signal(number, handler) for number in changed}
    try:
        yield
    except SystemExit as request:
        if handler.came is not None and not isinstance(request, Terminated):
            raise Terminated(handler.came) from None
        raise
    finally:
        for number, earlier in before.items():
            if _is_ours(signal.getsignal(number)):  # Ray may have put its own in the meantime
                signal.signal(number, earlier if earlier is not None else signal.SIG_DFL)


def raise_if_asked() -> None:
    """Raise ``Terminated`` where a signal came whose exception was lost.

    Python drops one that is raised in a callback, such as those of an import or of an object's end.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if isinstance(handler, _Handler) and handler.came is not None:
        raise Terminated(handler.came)


def _pass(_number: int, _frame: FrameType | None) -> None:
    """Take no notice: this process is ending already."""


def _is_ours(handler: object) -> bool:
    return handler is _pass or isinstance(handler, _Handler)
