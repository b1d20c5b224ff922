"""Environment variables that only Python sees.

The C library's environment must not change while other threads run: Ray's read it whenever they like, and a variable
that moves away under ``getenv`` ends the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager


def hide(names: Iterable[str]) -> None:
    """Take away what ``show`` has added."""
    for name in names:
        _variables().pop(os.fsencode(name), None)


def show(settings: Mapping[str, str]) -> list[str]:
    """Set what the user has not set; the names of it."""
    added = [name for name in settings if name not in os.environ]
    _variables().update({os.fsencode(name): os.fsencode(settings[name]) for name in added})
    return added


@contextmanager
def shown(settings: Mapping[str, str]) -> Iterator[None]:
    """Set what the user has not set, for the length of the block."""
    added = show(settings)
    try:
        yield
    finally:
        hide(added)


def _variables() -> dict[bytes, bytes]:
    """What Python knows of the environment; a change here is not passed on."""
    found: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    return found
