"""Files that this machine keeps for us: where, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
