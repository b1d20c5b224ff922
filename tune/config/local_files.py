"""Files that this machine keeps for us: where, and whole or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

from dclf.whole_files import whole

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where whatever can be made or fetched again lies; not made here.

    Raises:
        OSError: this user has no home folder.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dclf"
    except RuntimeError as error:  # a container's user id without a name, and no HOME
        raise FileNotFoundError("there is no home folder; name a folder for caches with XDG_CACHE_HOME") from error


def require_cache(folder: Path, purpose: str) -> None:
    """Make a folder below the cache folder.

    Args:
        folder: may be there.
        purpose: of the folder, for the message.

    Raises:
        OSError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "no permission to write"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise OSError(
            f"XDG_CACHE_HOME: must name a folder that can be written to, for {purpose}, {folder} cannot ({reason}); it "
            "is ~/.cache unless it is set"
        )


@contextmanager
def alone(path: Path, work: str) -> Iterator[None]:
    """Hold a lock file, as soon as no other process does; a killed one holds none.

    Args:
        path: the file, which is made.
        work: what one process at a time does, for the message of one that waits.
    """
    with path.open("w", encoding="utf-8") as file:
        try:
            _lock_soon(file)
        except BlockingIOError:
            _log.info(f"waiting for another process to {work} ({path} is its lock)")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            _log.warning(f"{path}: nothing keeps a second process from working here, as there are no locks ({error})")
        yield


def _lock_soon(file: TextIO) -> None:
    """Take a lock within a second: a shorter wait is not worth a message."""
    for pause in (0.05, 0.1, 0.2, 0.3, 0.3):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def save_text(path: Path, text: str) -> Path:
    """Write a text file in UTF-8, whole or not at all, and return its path; its folder is made where it is absent."""
    return save_bytes(path, text.encode())


def save_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all, and return its path; its folder is made where it is absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        unfinished.write_bytes(content)
    return path


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
