"""Importing large packages in less time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_own: list[bool] = []


def own_process() -> None:
    """Say that this process is a program of ours, whose garbage is nobody else's.

    What is made in ``uncollected`` is then never looked through, three tenths of a second for the driver of a sweep;
    in a notebook that would keep the reader's own garbage too.
    """
    _own.append(True)


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection within the block, which is to import and little else.

    Imports make objects that stay, and the collector looks through all of them again and again: measured with torch,
    Ray Tune and MLflow, a sixth of the processor time of importing them.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            if _own:
                gc.freeze()
            gc.enable()
