"""Turn SIGTERM into an exception, so that a run that a queue or an operator ends is closed like one ended by Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """This process was asked to end by SIGTERM; exits with the code that shells give it."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "SIGTERM"


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Inside the ``with`` SIGTERM raises ``Terminated`` in the main thread; elsewhere than there nothing is changed.

    While Ray waits for something, it has a plain ``SystemExit(1)`` in place of an exit that a signal's handler raises;
    what leaves the ``with`` is ``Terminated`` again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except SystemExit:
        if came:
            raise Terminated from None
        raise
    finally:
        if signal.getsignal(signal.SIGTERM) is end:  # Ray may have put its own in the meantime
            signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
