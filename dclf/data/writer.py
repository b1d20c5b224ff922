"""Writing a shard set: validated dialogue by dialogue, in flat memory, with the manifest last."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from pyarrow.fs import FileType

from dclf.data.checks import info_problems, repeated_id, validate_dialogue, zero_rows
from dclf.data.dialogue import SPLITS, DatasetInfo, Dialogue
from dclf.data.errors import DataError, OutputTakenError
from dclf.data.manifest import BAYES, INDEX, MANIFEST, PROBE, Manifest
from dclf.data.shard_files import IndexWriter, SplitWriter, naming_the_folder
from dclf.data.storage import Folder

DEFAULT_SHARD_BYTES = 64 << 20
_UNFINISHED = ".unfinished-shards"
"""Folder in that of a shard set to be replaced, in which the new one is written."""
_OURS = re.compile(
    rf"^((train|val|test)-\d{{5}}\.arrow|{re.escape(INDEX)}|{re.escape(MANIFEST)}(\.tmp)?"
    rf"|{re.escape(PROBE)}|{re.escape(BAYES)})$"
)


def write_shards(
    dialogues: Iterable[Dialogue],
    path: str | os.PathLike[str],
    info: DatasetInfo,
    *,
    max_shard_bytes: int = DEFAULT_SHARD_BYTES,
    overwrite: bool = False,
    warn: Callable[[str], None] | None = None,
) -> Manifest:
    """Write dialogues as Arrow shards; only one dialogue is held at a time.

    Every dialogue is validated first. After the first invalid one nothing more is written, but the rest is still
    looked at, so that the error lists every problem. A write that fails leaves no manifest and no shards, or those that
    were to be overwritten.

    Args:
        dialogues: in any order; the splits may be interleaved.
        path: a local folder, made where absent, or a URI such as s3://bucket/shards.
        info: the dataset facts; its provenance must be JSON-able.
        max_shard_bytes: a shard is closed once it is this large.
        overwrite: replace a shard set that is already there once the new one is written, for which both need room;
            files that are not ours are never touched.
        warn: hears of feature rows that are all zero, dialogue by dialogue.

    Raises:
        DataError: impossible dataset facts, or invalid dialogues, with all problems.
        OutputFolderError: the folder is full, read-only, not a folder, or not empty and ``overwrite`` is false.
    """
    folder = Folder.of(path)
    if problems := info_problems(info):
        raise DataError(problems, f"{folder.address}: nothing was written, the dataset facts are not valid")
    place, new = _prepare(folder, path, overwrite)
    writer = _ShardSetWriter(place, info, max_shard_bytes, warn)
    try:
        for dialogue in dialogues:
            writer.add(dialogue)
        manifest = writer.finish()
    except BaseException:
        writer.abandon()
        with suppress(OSError):
            _remove_ours(place)
            _remove_unfinished(folder)
            if new and not place.names():
                place.filesystem.delete_dir(place.root)
        raise
    if place != folder:
        with naming_the_folder(folder):
            _replace_shards(folder, place)
    return manifest


def refuse_filled(path: str | os.PathLike[str]) -> None:
    """Refuse a folder for shards that has something in it, before the work that would fill it.

    Raises:
        OutputFolderError: it is not empty, not a folder, or cannot be read.
    """
    folder = Folder.of(path)
    with naming_the_folder(folder):
        if names := folder.names():
            raise OutputTakenError(
                f"{folder.address}: the output folder is not empty (it holds {names[0]!r}); choose another folder, or "
                "overwrite the shards in it (overwrite=True, on the command line --overwrite)"
            )


def _prepare(folder: Folder, path: str | os.PathLike[str], overwrite: bool) -> tuple[Folder, bool]:
    """Where to write: the folder, or one in it where a shard set is to be replaced; whether it was not there before."""
    if not overwrite:
        refuse_filled(path)
    with naming_the_folder(folder):
        _remove_unfinished(folder)
        place = replace(folder, root=folder.path(_UNFINISHED)) if folder.exists(MANIFEST) else folder
        _remove_ours(place)
        new = place.filesystem.get_file_info(place.root).type == FileType.NotFound
        place.filesystem.create_dir(place.root, recursive=True)
    return place, new


def _replace_shards(folder: Folder, place: Folder) -> None:
    """Remove the old set and move the new one to its place; without a manifest, half of either is no shard set."""
    _remove_ours(folder)
    for name in sorted(place.names(), key=lambda name: name == MANIFEST):
        folder.filesystem.move(place.path(name), folder.path(name))
    _remove_unfinished(folder)


def _remove_ours(folder: Folder) -> None:
    for name in sorted(filter(_OURS.match, folder.names()), key=lambda name: name != MANIFEST):
        folder.filesystem.delete_file(folder.path(name))


def _remove_unfinished(folder: Folder) -> None:
    if _UNFINISHED in folder.names():
        folder.filesystem.delete_dir(folder.path(_UNFINISHED))


class _ShardSetWriter:
    """Writes a shard set dialogue by dialogue, and collects what is wrong with them."""

    def __init__(self, folder: Folder, info: DatasetInfo, max_bytes: int, warn: Callable[[str], None] | None) -> None:
        self._folder, self._info, self._warn = folder, info, warn
        self._split_of: dict[str, str] = {}
        self._problems: list[str] = []
        self._splits = {split: SplitWriter(folder, split, info, max_bytes) for split in SPLITS}
        with naming_the_folder(folder):
            self._index = IndexWriter(folder)

    def add(self, dialogue: Dialogue) -> None:
        self._problems += validate_dialogue(dialogue, self._info)
        self._problems += repeated_id(dialogue.dialogue_id, dialogue.split, self._split_of)
        if self._problems:
            return
        if self._warn is not None:
            for warning in zero_rows(dialogue):
                self._warn(warning)
        with naming_the_folder(self._folder):
            shard, row = self._splits[dialogue.split].write(dialogue)
            self._index.add(dialogue, shard, row)

    def finish(self) -> Manifest:
        if self._problems:
            raise DataError(self._problems, f"{self._folder.address}: nothing was written, the data are not valid")
        with naming_the_folder(self._folder):
            for split in self._splits.values():
                split.finish()
            shards = tuple(entry for split in self._splits.values() for entry in split.entries)
            manifest = Manifest(info=self._info, shards=shards, index=self._index.finish())
            _write_manifest(self._folder, manifest)
        return manifest

    def abandon(self) -> None:
        self._index.abandon()
        for split in self._splits.values():
            split.abandon()


def _write_manifest(folder: Folder, manifest: Manifest) -> None:
    text = json.dumps(manifest.to_dict(), indent=2, ensure_ascii=False) + "\n"
    unfinished = folder.path(f"{MANIFEST}.tmp")
    with folder.filesystem.open_output_stream(unfinished) as stream:
        stream.write(text.encode())
    folder.filesystem.move(unfinished, folder.path(MANIFEST))
