"""Progress where Python is interactive, in a notebook or at a prompt."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tune.progress.lines import Lines
from tune.study.events import Listener


@contextmanager
def listening(listeners: Sequence[Listener] | None) -> Iterator[Sequence[Listener]]:
    """Give the listeners of a block of work: those that a caller names, or one that prints lines at a prompt.

    Args:
        listeners: None where the caller names none. Lines of progress and log messages are then printed where Python is
            interactive, which every notebook is; a program is told nothing.
    """
    if listeners is not None or not hasattr(sys, "ps1"):
        yield listeners or ()
        return
    with Lines(sys.stdout) as lines:
        yield [lines]
