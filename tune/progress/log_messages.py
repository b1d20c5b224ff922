"""Where the log messages of this project go while a command runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOGGERS = ("dclf", "cluster", "tune")
"""The project's own; what libraries log is none of a command's output."""


class MessageHandler(logging.Handler):
    """Hands the text of every record to a callable, in the thread that logs."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """Have no lock, as ``logging.NullHandler``: one that a thread holds must not stop a signal handler's message.

        Streams and rich's console have locks of their own, which the same thread may take twice.
        """
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on the text."""
        try:
            self._show(self.format(record))
        except Exception:  # noqa: BLE001 - logging's own way: what cannot be shown must not end the work
            self.handleError(record)


@contextmanager
def messages_to(show: Callable[[str], None]) -> Iterator[None]:
    """Hand messages of level INFO and above to a callable, in place of an outer ``messages_to``.

    Handlers that others gave these loggers stay; those of the root logger hear nothing meanwhile.

    Args:
        show: takes one message; may be called from any thread.
    """
    handler = MessageHandler(show)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [
        (logger, [h for h in logger.handlers if isinstance(h, MessageHandler)], logger.level, logger.propagate)
        for logger in loggers
    ]
    for logger, outer, _, _ in before:
        logger.addHandler(handler)
        for other in outer:
            logger.removeHandler(other)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, outer, level, propagate in before:
            logger.propagate = propagate
            logger.setLevel(level)
            for other in outer:
                logger.addHandler(other)
            logger.removeHandler(handler)


def message_to_stderr(text: str) -> None:
    """Write a message as commands do that show no progress."""
    print(f"dclf: {text}", file=sys.stderr, flush=True)
