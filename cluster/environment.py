"""Settings of libraries that read them from the environment of the process alone.

They are put in place before Ray is started: its threads read the environment without a lock, and a variable that moves
under them ends the process. Whatever the user has set stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


def set_missing(settings: Mapping[str, str]) -> list[str]:
    """Set the variables that the user has not set; return their names."""
    missing = [name for name in settings if name not in os.environ]
    os.environ.update({name: settings[name] for name in missing})
    return missing


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set the variables that the user has not set, for the length of the block."""
    added = set_missing(settings)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
