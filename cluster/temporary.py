"""Temporary folders that do not stay for ever where their process was killed.

A folder is locked for as long as its process lives, in whatever way that ends. The first folder that a process makes
in a place clears away those of the same user there on which nobody holds a lock. What another machine or user has in
the same place is safe: a lock that cannot be had is as good as one that is held.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PREFIX = "dclf-temp-"


class TemporaryFolder:
    """A new folder of this process, removed by ``close``, at the end of a ``with`` or with the process.

    Args:
        purpose: a word for its name.
        place: the folder to make it in; the system's for temporary files where None.

    Attributes:
        path: of the folder.
    """

    def __init__(self, purpose: str, place: Path | None = None) -> None:
        place = place or Path(tempfile.gettempdir())
        _clear_once(place)
        self.path, lock = _locked_folder(purpose, place)
        self._end = weakref.finalize(self, _remove, self.path, lock)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder; nothing happens the second time."""
        self._end()


def clear_abandoned(place: Path) -> None:
    """Remove this user's temporary folders in a place whose process is gone."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file).st_uid == os.getuid():
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(file)


_clear_once = functools.cache(clear_abandoned)


def _locked_folder(purpose: str, place: Path) -> tuple[Path, int]:
    """Make a folder and lock it; return it with the open file that holds the lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-", dir=place))
        # Until the lock is there, a process that clears may take the folder for an abandoned one.
        with suppress(FileNotFoundError):
            file = os.open(folder, os.O_RDONLY)
            # Where the file system has no locks, nobody gets one to clear the folder either.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_SH)
            if folder.exists():
                return folder, file
            os.close(file)


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
