"""The Arrow files of a shard set as they are written: one open file per split, hashed on the way out."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa

from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.errors import OutputFolderError
from dclf.data.manifest import INDEX, FileEntry, ShardEntry
from dclf.data.rows import dialogue_to_batch
from dclf.data.schema import index_schema, shard_schema
from dclf.data.storage import Folder

INDEX_ROWS = 1024
"""Dialogues per record batch of the index: what is held in memory before it is written."""


@contextmanager
def naming_the_folder(folder: Folder) -> Iterator[None]:
    """Turn an OSError of the store into one that names the folder and what to do."""
    try:
        yield
    except OutputFolderError:
        raise
    except OSError as error:
        raise OutputFolderError(
            f"{folder.address}: cannot write the shards here ({error}); free space or make the folder writable, "
            "or choose another output folder"
        ) from error


class HashingSink(io.RawIOBase):
    """A write-only stream that hashes and counts what passes through to a file."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Hash, count and pass on."""
        block = bytes(data)
        self._stream.write(block)
        self._digest.update(block)
        self.size += len(block)
        return len(block)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.size

    def close(self) -> None:
        """Close the file below, once, even where it fails to."""
        try:
            if not self.closed:
                self._stream.close()
        finally:
            super().close()

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of all that was written."""
        return self._digest.hexdigest()


class ArrowFile:
    """One Arrow IPC file being written."""

    def __init__(self, folder: Folder, name: str, schema: pa.Schema) -> None:
        self.name = name
        self._sink = HashingSink(folder.filesystem.open_output_stream(folder.path(name)))
        try:
            self._writer = pa.ipc.new_file(pa.PythonFile(self._sink, "w"), schema)
        except BaseException:
            self.abandon()
            raise

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._sink.size

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a record batch."""
        self._writer.write_batch(batch)

    def finish(self) -> FileEntry:
        """Write the footer and close."""
        self._writer.close()
        self._sink.close()
        return FileEntry(file=self.name, bytes=self._sink.size, sha256=self._sink.sha256)

    def abandon(self) -> None:
        """Close without a footer, whatever the store says."""
        with suppress(OSError):
            self._sink.close()


class SplitWriter:
    """The numbered shard files of one split; a new one starts when the current one is full."""

    def __init__(self, folder: Folder, split: str, info: DatasetInfo, max_bytes: int) -> None:
        self._folder, self._split, self._info, self._max_bytes = folder, split, info, max_bytes
        self._schema = shard_schema(info)
        self._file: ArrowFile | None = None
        self._rows = self._utterances = 0
        self._missing = Counter[str]()
        self.entries: list[ShardEntry] = []

    def write(self, dialogue: Dialogue) -> tuple[str, int]:
        """Append a dialogue; says in which file and as which record batch."""
        if self._file is None:
            name = f"{self._split}-{len(self.entries):05d}.arrow"
            self._file = ArrowFile(self._folder, name, self._schema)
            self._rows = self._utterances = 0
            self._missing.clear()
        place = self._file.name, self._rows
        self._file.write(dialogue_to_batch(dialogue, self._info, self._schema))
        self._rows += 1
        self._utterances += len(dialogue)
        self._missing.update(dialogue.missing)
        if self._file.size >= self._max_bytes:
            self.finish()
        return place

    def finish(self) -> None:
        """Close the current file, if any, and note its checksum."""
        if self._file is None:
            return
        entry = self._file.finish()
        self._file = None
        self.entries.append(
            ShardEntry(
                file=entry.file,
                split=self._split,
                rows=self._rows,
                utterances=self._utterances,
                missing=dict(self._missing),
                bytes=entry.bytes,
                sha256=entry.sha256,
            )
        )

    def abandon(self) -> None:
        """Close the current file without finishing it."""
        if self._file is not None:
            self._file.abandon()


class IndexWriter:
    """The sidecar ``index.arrow``, written a block of dialogues at a time."""

    def __init__(self, folder: Folder) -> None:
        self._schema = index_schema()
        self._file = ArrowFile(folder, INDEX, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, dialogue: Dialogue, shard: str, row: int) -> None:
        """Note where a dialogue went."""
        self._rows.append(
            {
                "dialogue_id": dialogue.dialogue_id,
                "split": dialogue.split,
                "speakers": dialogue.speakers,
                "labels": dialogue.labels,
                "shard": shard,
                "row": row,
            }
        )
        if len(self._rows) >= INDEX_ROWS:
            self._flush()

    def finish(self) -> FileEntry:
        """Write what is left and close."""
        self._flush()
        return self._file.finish()

    def abandon(self) -> None:
        """Close without finishing."""
        self._file.abandon()

    def _flush(self) -> None:
        if self._rows:
            self._file.write(pa.RecordBatch.from_pylist(self._rows, self._schema))
        self._rows = []
