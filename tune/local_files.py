"""Files that this machine keeps for us: where, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile


def cache_folder() -> Path:
    """Where whatever can be made or fetched again lies; not made here."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dclf"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write that takes its place when it is whole: somebody may read the old one meanwhile."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def output_problem(option: str, place: str | Path) -> str | None:
    """What keeps files from being written to a folder, which is made where it is absent; None where nothing does.

    Args:
        option: with which the folder was given.
        place: the folder.
    """
    if "://" in str(place):
        return f"{option}: must be a folder on this machine, is {place}"
    try:
        Path(place).mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=place):
            return None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return f"{option}: must be a folder that can be made and written to, is {place} ({reason}); choose another"
