"""Optuna's journal in a file, with entries that belong together written as one.

Optuna writes and syncs every entry by itself, three milliseconds on a disk: a new trial is one and each of its values
another, as is each epoch of a training. The next trial waits for all of them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


class Journal(JournalStorage):
    """Optuna's storage in a journal file.

    Args:
        path: the file; made where it is absent.
    """

    def __init__(self, path: str) -> None:
        self._file = _GroupingFile(path)
        super().__init__(self._file)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what comes within the block at its end, at once; no other process may write meanwhile."""
        with self._file.together():
            yield


class _GroupingFile(JournalFileBackend):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._waiting: list[dict[str, Any]] | None = None
        self._in_file = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        self._look()
        self._waiting = []
        try:
            yield
        finally:
            waiting, self._waiting = self._waiting, None
            if waiting:
                self.append_logs(waiting)
                self._look()

    def _look(self) -> None:
        """Take note of what the file holds; it is read from its beginning on where somebody asks for what was not."""
        for _ in self._from_file(self._in_file):
            pass

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Optuna's name for writing."""
        if self._waiting is None:
            super().append_logs(logs)
        else:
            self._waiting += logs

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Optuna's name for reading: those in the file, then those that wait."""
        if self._waiting is None or log_number_from < self._in_file:
            yield from self._from_file(log_number_from)
        if self._waiting is not None:
            yield from self._waiting[max(0, log_number_from - self._in_file) :]

    def _from_file(self, first: int) -> Iterator[dict[str, Any]]:
        for number, entry in enumerate(super().read_logs(first), start=first):
            self._in_file = max(self._in_file, number + 1)
            yield entry
