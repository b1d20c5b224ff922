"""The manifest of a shard set: which files belong to it, what they hold and their checksums.

It is written last, so a folder without one is an unfinished shard set.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dclf.data.dialogue import SPLITS, DatasetInfo
from dclf.data.errors import ShardError, ShardsUnavailableError
from dclf.data.schema import info_from_dict, info_to_dict
from dclf.data.storage import Folder, trouble_with

MANIFEST = "manifest.json"
INDEX = "index.arrow"
PROBE = "probe.json"
"""What a linear probe reached (``dclf.data.probe``), beside the shards and in no list of them."""
BAYES = "bayes.json"
"""What the best answers reach on generated dialogues (``dclf.data.bayes``), likewise."""
REMEDY = "write the shards again with 'dclf data import' or 'dclf data generate', or copy them anew"


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of the set: its name, its size in bytes and its SHA-256."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ShardEntry(FileEntry):
    """One shard file of one split.

    Attributes:
        split: one of ``SPLITS``.
        rows: its dialogues.
        utterances: of all of them.
        missing: modality -> utterances without features in it; complete modalities are not named.
    """

    split: str
    rows: int
    utterances: int
    missing: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a finished shard set holds.

    Attributes:
        info: the dataset facts.
        shards: the shard files, by split in the order of ``SPLITS``, then by number.
        index: the sidecar with labels, speakers and row numbers.
    """

    info: DatasetInfo
    shards: tuple[ShardEntry, ...]
    index: FileEntry

    @property
    def splits(self) -> dict[str, int]:
        """Dialogues per split; every split is named, an empty one with 0."""
        return {split: sum(s.rows for s in self.shards if s.split == split) for split in SPLITS}

    @property
    def utterances(self) -> dict[str, int]:
        """Utterances per split."""
        return {split: sum(s.utterances for s in self.shards if s.split == split) for split in SPLITS}

    @property
    def missing(self) -> dict[str, dict[str, int]]:
        """Split -> modality -> utterances without features in it; a modality that has them all is not named."""
        counts = {split: Counter[str]() for split in SPLITS}
        for shard in self.shards:
            counts[shard.split].update(shard.missing)
        return {split: dict(count) for split, count in counts.items()}

    @property
    def sha256(self) -> str:
        """One hash of the whole data: over the checksums of its shards."""
        lines = "".join(f"{shard.file} {shard.sha256}\n" for shard in self.shards)
        return hashlib.sha256(lines.encode()).hexdigest()

    def of_split(self, split: str | None) -> Iterator[ShardEntry]:
        """The shards of one split, or all."""
        return (shard for shard in self.shards if split is None or shard.split == split)

    def shard(self, file: str) -> ShardEntry:
        """The entry of this shard file."""
        for entry in self.shards:
            if entry.file == file:
                return entry
        raise ShardError(f"the manifest lists no shard {file}; {REMEDY}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored in ``manifest.json``."""
        shards = [asdict(shard) for shard in self.shards]
        return {**info_to_dict(self.info), "index": asdict(self.index), "shards": shards, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Manifest:
        """The inverse of ``to_dict``."""
        info = info_from_dict(values)
        shards = tuple(ShardEntry(**entry) for entry in values["shards"])
        return cls(info=info, shards=shards, index=FileEntry(**values["index"]))


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest of a shard set.

    Raises:
        ShardError: there is none, or it is damaged.
        ShardsUnavailableError: the store does not answer.
    """
    folder = Folder.of(path)
    if not _is_there(folder):
        raise ShardError(
            f"{folder.address}: no {MANIFEST} here, so this is not a finished shard set; check the path, or {REMEDY}"
        )
    try:
        return Manifest.from_dict(json.loads(folder.read_bytes(MANIFEST)))
    except ShardError as error:
        raise ShardError(f"{folder.address}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShardError(
            f"{folder.address}/{MANIFEST} is damaged ({type(error).__name__}: {error}); {REMEDY}"
        ) from error


def _is_there(folder: Folder) -> bool:
    try:
        if folder.exists(MANIFEST):
            return True
        folder.require_bucket()
    except OSError as error:
        raise ShardsUnavailableError(f"{folder.address}: cannot be read: {trouble_with(error)}") from error
    return False


def verify_shard(path: str | os.PathLike[str], entry: FileEntry) -> None:
    """Check a file's SHA-256 against the manifest; ShardError names the file, the expected and the actual hash."""
    folder = Folder.of(path)
    if not folder.exists(entry.file):
        raise ShardError(f"{folder.address}/{entry.file} is missing although the manifest lists it; {REMEDY}")
    digest = folder.sha256(entry.file)
    if digest != entry.sha256:
        size = folder.filesystem.get_file_info(folder.path(entry.file)).size
        raise ShardError(
            f"{folder.address}/{entry.file} is damaged: expected {entry.bytes} bytes with sha256 {entry.sha256}, "
            f"found {size} bytes with sha256 {digest}; {REMEDY}"
        )
