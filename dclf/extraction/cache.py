"""Rows that have been computed, kept by what they were computed of.

A cache is a folder; in it, a folder for each fingerprint of an extractor's settings; in that, a file for each process
that has written. A file is a stream of Arrow record batches and grows by one whenever rows arrive, so that a killed
process loses only what had not arrived. Where a file ends in the middle of a batch, the batches before it count.

A batch has the columns of ``dclf.extraction.arrow_rows`` and ``key``, the hash of what the extractor read
(``dclf.extraction.contents``).
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from dclf.data.storage import is_uri
from dclf.extraction.arrow_rows import row_at, row_columns
from dclf.extraction.contract import ExtractionError, ExtractorSettings, Row, Unreadable

SUFFIX = ".arrows"
SETTINGS = "settings.json"


def require_folder(folder: str | os.PathLike[str]) -> None:
    """Make the folder of a cache where it is absent.

    Raises:
        ExtractionError: it is a URI, cannot be made, or nothing can be written there.
    """
    if is_uri(os.fspath(folder)):
        raise ExtractionError(f"{folder}: the cache must be a folder of this machine, is a URI; name one with --cache")
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(place, os.W_OK | os.X_OK) else "no permission to write"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise ExtractionError(
            f"{place}: the cache must be a folder that can be written ({reason}); name another with --cache"
        )


class FeatureCache:
    """The cached rows of one extractor.

    Args:
        folder: of the cache; made where it is absent.
        settings: of the extractor, resolved.

    Raises:
        ExtractionError: the folder cannot be made.
        OSError: it cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str], settings: ExtractorSettings) -> None:
        self.folder = Path(folder) / settings.fingerprint()
        require_folder(self.folder)
        # For people who wonder what the folder is.
        facts = json.dumps(settings.facts(), indent=2, sort_keys=True)
        (self.folder / SETTINGS).write_text(f"{facts}\n", encoding="utf-8")

    def read(self) -> CachedRows:
        """Everything that is in it now."""
        return CachedRows(sorted(self.folder.glob(f"*{SUFFIX}")))

    def writer(self) -> CacheWriter:
        """Writes to a file of its own, which appears with the first rows."""
        return CacheWriter(self.folder / f"{uuid.uuid4().hex}{SUFFIX}")


class CachedRows:
    """Rows by their keys; only the keys are held in memory, the rows are mapped from the disk.

    Args:
        files: of a cache.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._places: dict[str, tuple[int, int]] = {}
        for file in files:
            for batch in _whole_batches(file):
                number = len(self._batches)
                self._batches.append(batch)
                pairs = zip(batch["key"].to_pylist(), batch["reason"].to_pylist(), strict=True)
                # A reason without words is no reason: earlier versions kept some for batches that had failed.
                self._places.update((key, (number, at)) for at, (key, reason) in enumerate(pairs) if reason != "")

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def row(self, key: str) -> Row:
        """What was computed of the content; KeyError where nothing was."""
        number, place = self._places[key]
        return row_at(self._batches[number], place)


class CacheWriter:
    """Appends rows to a file; nothing else writes to it.

    Args:
        file: that is not there yet.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stream: pa.NativeFile | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the file."""
        # Each on its own: a disk that is full refuses the mark at the end, and the file is whole without it.
        for part in (self._writer, self._stream):
            if part is not None:
                with suppress(OSError):
                    part.close()

    def add(self, keys: Sequence[str], rows: Sequence[Row]) -> None:
        """Write rows, so that the end of this process does not lose them.

        Args:
            keys: of the contents.
            rows: of each; what is not ``lasting`` is left out.

        Raises:
            ExtractionError: the file cannot be written.
        """
        lasting = [pair for pair in zip(keys, rows, strict=True) if not _passing(pair[1])]
        if not lasting:
            return
        try:
            columns = {"key": pa.array([key for key, _ in lasting]), **row_columns([row for _, row in lasting])}
            batch = pa.record_batch(columns)
            if self._writer is None or self._stream is None:
                self._stream = pa.OSFile(str(self._file), "wb")
                self._writer = pa.ipc.new_stream(self._stream, batch.schema)
            self._writer.write_batch(batch)
            self._stream.flush()
        except OSError as error:
            raise ExtractionError(
                f"{self._file}: cannot be written ({error}); make room, or name another folder with --cache. What was "
                "extracted before is kept there"
            ) from error


def _passing(row: Row) -> bool:
    """Whether a second try may do better."""
    return isinstance(row, Unreadable) and not row.lasting


def _whole_batches(file: Path) -> Iterator[pa.RecordBatch]:
    """The batches of a file, up to where it was cut off or another process writes just now."""
    try:
        yield from pa.ipc.open_stream(pa.memory_map(str(file)))
    except (pa.ArrowException, OSError):
        return
