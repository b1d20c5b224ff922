"""Reading a shard set: lazily, one record batch at a time, only the columns asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from dclf.data.dialogue import SPLITS, DatasetInfo, Dialogue
from dclf.data.errors import unreadable
from dclf.data.index import DialogueIndex, read_index
from dclf.data.manifest import REMEDY, Manifest, ShardEntry, read_manifest, verify_shard
from dclf.data.rows import dialogues_from_table
from dclf.data.schema import (
    chosen_modalities,
    columns_for,
    info_from_schema,
    refuse_other_types,
    shard_schema,
)
from dclf.data.storage import Folder


class ShardSet:
    """A selection of a shard set that streams dialogues; cheap to make, to pickle and to narrow.

    Iterating again starts again. Dialogues are views of one shard's memory (memory-mapped where the shards are local);
    whoever keeps many of them keeps their shards in memory.

    Attributes:
        path: the folder or URI.
        manifest: its manifest.
        split: the split that is iterated, or None for all.
        modalities: the modalities that are decoded.
    """

    def __init__(
        self, path: str, manifest: Manifest, *, split: str | None, modalities: Sequence[str] | None, verify: bool
    ) -> None:
        if split is not None and split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, is {split!r}")
        self.path = path
        self.manifest = manifest
        self.split = split
        self.modalities = chosen_modalities(manifest.info, modalities)
        self._verify = verify
        self._verified: set[str] = set()

    @property
    def info(self) -> DatasetInfo:
        """The facts of the whole shard set, whatever the selection."""
        return self.manifest.info

    @property
    def splits(self) -> dict[str, int]:
        """Dialogues per split of the whole set."""
        return self.manifest.splits

    def __len__(self) -> int:
        return sum(shard.rows for shard in self.manifest.of_split(self.split))

    def __repr__(self) -> str:
        return (
            f"ShardSet({self.path!r}, dataset={self.info.dataset!r}, split={self.split!r}, "
            f"modalities={self.modalities}, dialogues={len(self)})"
        )

    def __iter__(self) -> Iterator[Dialogue]:
        for shard in self.manifest.of_split(self.split):
            self._check(shard)
            yield from self.of_shard(shard)

    def select(self, split: str | None = None, modalities: Sequence[str] | None = None) -> ShardSet:
        """A narrower view; what is None stays as it is."""
        selection = ShardSet(
            self.path,
            self.manifest,
            split=self.split if split is None else split,
            modalities=self.modalities if modalities is None else modalities,
            verify=self._verify,
        )
        selection._verified = self._verified
        return selection

    def index(self, split: str | None = None) -> DialogueIndex:
        """Labels, speakers and places of a split (of this selection where None), without reading features."""
        if self._verify:
            verify_shard(self.path, self.manifest.index)
        return read_index(Folder.of(self.path), self.split if split is None else split)

    def _check(self, shard: ShardEntry) -> None:
        if self._verify and shard.file not in self._verified:
            verify_shard(self.path, shard)
            self._verified.add(shard.file)

    def of_shard(self, shard: ShardEntry) -> Iterator[Dialogue]:
        """The dialogues of one shard, without a checksum."""
        folder = Folder.of(self.path)
        with _naming_the_shard(folder, shard.file):
            reader = _open(folder, shard.file, columns_for(self.modalities, self.info), whole=True)
            for row in range(reader.num_record_batches):
                yield from dialogues_from_table(reader.get_batch(row), self.info, self.modalities)


def read_shards(
    path: str | os.PathLike[str],
    *,
    split: str | None = None,
    modalities: Sequence[str] | None = None,
    verify: bool = True,
) -> ShardSet:
    """Open a shard set; nothing but its manifest is read until it is iterated.

    Args:
        path: local folder or URI.
        split: only this split; all where None.
        modalities: decode only these; all where None.
        verify: check a shard's SHA-256 before its first row is given out.

    Raises:
        ShardError: no manifest, another format version; when iterated: a missing or damaged shard.
        ShardsUnavailableError: their store does not answer.
        MissingModalityError: the shards lack one of ``modalities``.
    """
    return ShardSet(os.fspath(path), read_manifest(path), split=split, modalities=modalities, verify=verify)


def read_rows(path: str | os.PathLike[str], shard: str, rows: Sequence[int], columns: Sequence[str]) -> pa.Table:
    """Some rows of one shard, in the order asked for, without a checksum (see ``verify_shard``).

    Args:
        path: local folder or URI of the shard set.
        shard: file name of the shard.
        rows: record batches to read, as in ``DialogueIndex.rows``.
        columns: as ``dclf.data.schema.columns_for`` gives them.

    Raises:
        ShardError: the shard cannot be read or has no such row.
    """
    folder = Folder.of(path)
    with _naming_the_shard(folder, shard):
        reader = _open(folder, shard, columns)
        return pa.Table.from_batches([reader.get_batch(int(row)) for row in rows], reader.schema)


def _open(folder: Folder, shard: str, columns: Sequence[str], *, whole: bool = False) -> pa.RecordBatchFileReader:
    source = folder.open_source(shard, whole=whole)
    schema = pa.ipc.open_file(source).schema
    options = pa.ipc.IpcReadOptions(included_fields=[schema.names.index(column) for column in columns])
    refuse_other_types(schema, columns, shard_schema(info_from_schema(schema)))
    source.seek(0)
    return pa.ipc.open_file(source, options=options)


@contextmanager
def _naming_the_shard(folder: Folder, shard: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        raise unreadable(error, f"{folder.address}/{shard}", REMEDY, remote=not folder.is_local) from error
