"""Importing large packages in less time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
            gc.enable()
