"""Settings of libraries that read them from the environment of the process alone.

They are put in place before Ray is started: its threads read the environment without a lock, and a variable that moves
under them ends the process. Whatever the user has set stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def environment(settings: Mapping[str, str], *, over: bool = False) -> Iterator[None]:
    """Set the variables that the user has not set, for the length of the block.

    Args:
        settings: variable -> value.
        over: set those of the user as well, whose values come back with the end of the block.
    """
    before = {name: os.environ.get(name) for name in settings if over or name not in os.environ}
    os.environ.update({name: settings[name] for name in before})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
