"""Shards in the forms that other programs read: Hugging Face's data sets, NumPy's archives, MMGCN's pickle."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dclf.data.dialogue import MODALITIES, SPLITS, UNLABELLED, DatasetInfo, Dialogue
from dclf.data.errors import OutputFolderError, OutputTakenError
from dclf.data.importers.datasets import as_classes
from dclf.data.presets import IEMOCAP_CLASSES, MELD_SPEAKERS
from dclf.data.reader import ShardSet, read_shards
from dclf.data.storage import Folder, is_uri
from dclf.prose import join_words, quantity

HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Our split -> the datasets library's name for it."""
ROWS_AT_ONCE = 4096
"""Utterances per row group of a Parquet file: what is held in memory."""


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        files: in the order of writing.
        notes: what the form cannot hold, and how it is read again; a sentence each.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def export_shards(
    shards: str | os.PathLike[str], out: str | os.PathLike[str], form: str, *, overwrite: bool = False
) -> Export:
    """Write shards in another form; features keep every bit.

    Args:
        shards: folder or URI.
        out: the file, or for huggingface the folder, on this machine.
        form: one of ``FORMS``.
        overwrite: replace an export that is there, once the new one is written; nothing else is ever replaced.

    Raises:
        ValueError: an unknown form.
        OutputFolderError: ``out`` is a URI, is there already, is no export, lies in the shards, or cannot be written.
        ShardError: the shards are damaged.
    """
    if form not in FORMS:
        raise ValueError(f"--format must be one of {', '.join(FORMS)}, is {form!r}")
    if is_uri(os.fspath(out)):
        raise OutputFolderError(
            f"{out}: an export must be on this machine, is a URI; name a path, and copy it from there"
        )
    source, target = read_shards(shards), Path(out)
    try:
        _refuse_shards(Folder.of(shards), target)
        _clear(target)
        for place in (target, _val_list(target)) if form == "mmgcn" else (target,):
            _refuse_taken(place, form, overwrite=overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        return _replace(source, target, form)
    except OutputFolderError:
        raise
    except OSError as error:
        raise OutputFolderError(f"{target}: cannot be written ({error}); free space or choose another place") from error


def _refuse_shards(shards: Folder, target: Path) -> None:
    """Raise OutputTakenError where the target is the shards' folder or in it."""
    own, place = Path(shards.root).resolve(), target.resolve()
    if shards.is_local and own in (place, *place.parents):
        raise OutputTakenError(f"{target}: must lie outside the shards at {shards.address}; choose another place")


def _refuse_taken(place: Path, form: str, *, overwrite: bool) -> None:
    """Raise OutputTakenError where something is that may not, or must not, be replaced."""
    if not os.path.lexists(place):
        return
    if not overwrite:
        raise OutputTakenError(f"{place}: is there already; choose another place, or overwrite it (--overwrite)")
    remedy = "choose another place, or delete it yourself"
    if form != "huggingface":
        if place.is_dir():
            raise OutputTakenError(f"{place}: must be a file to be overwritten, is a folder; {remedy}")
    elif not place.is_dir():
        raise OutputTakenError(f"{place}: must be a folder to be overwritten, is a file; {remedy}")
    elif others := sorted({entry.name for entry in place.iterdir()} - set(map(_hub_file, SPLITS))):
        raise OutputTakenError(f"{place}: must hold an export alone to be overwritten, holds {others[0]!r}; {remedy}")


def _replace(source: ShardSet, target: Path, form: str) -> Export:
    """Write beside the target, then put all in its place: what was there goes when the new one is there."""
    scratch, aside = _places(target)
    aside.parent.mkdir(parents=True)
    try:
        unfinished = scratch / target.name
        export = FORMS[form](source, unfinished, target)
        if target.is_dir():  # which a folder cannot replace in one step
            target.rename(aside)
        unfinished.replace(target)
        if (val := _val_list(unfinished)).exists():
            val.replace(_val_list(target))
        return export
    finally:
        _clear(target)


def _places(target: Path) -> tuple[Path, Path]:
    """The folder to write in, and in it where the target goes until the new one has its place."""
    scratch = target.with_name(f".{target.name}.unfinished")
    return scratch, scratch / "before" / target.name


def _clear(target: Path) -> None:
    """Remove the folder to write in, also a killed export's; what went aside and has no successor comes back."""
    scratch, aside = _places(target)
    if os.path.lexists(aside) and not os.path.lexists(target):
        aside.rename(target)
    shutil.rmtree(scratch, ignore_errors=True)


def _huggingface(source: ShardSet, unfinished: Path, target: Path) -> Export:
    """A Parquet file for each split with an utterance a row; ``datasets.load_dataset(OUT)`` reads the folder."""
    info = source.info
    unfinished.mkdir()
    schema = _hub_schema(info)
    for split in SPLITS:
        with pq.ParquetWriter(unfinished / _hub_file(split), schema) as writer:
            for dialogues in _in_groups(source.select(split=split)):
                writer.write_table(_hub_table(dialogues, info, schema))
    again = f"dclf data import huggingface {quote(str(target))} SHARDS --dataset {quote(info.dataset)}"
    return Export(tuple(target / _hub_file(split) for split in SPLITS), (f"read it again with: {again}",))


def _hub_file(split: str) -> str:
    return f"{HUB_SPLITS[split]}-00000-of-00001.parquet"


def _hub_schema(info: DatasetInfo) -> pa.Schema:
    """Columns, and the names of the classes where the datasets library looks for them."""
    value = {"string": pa.string(), "int32": pa.int32(), "int64": pa.int64()}
    plain = {"dialogue": "string", "utterance": "int32", "speaker": "int32", "text": "string"}
    features: dict[str, Any] = {name: {"dtype": kind, "_type": "Value"} for name, kind in plain.items()}
    fields = [pa.field(name, value[kind]) for name, kind in plain.items()]
    labels = {"emotion": info.class_names} | ({"sentiment": info.sentiment_names} if info.sentiment_names else {})
    for name, classes in labels.items():
        features[name] = {"names": list(classes), "_type": "ClassLabel"}
        fields.append(pa.field(name, pa.int64()))
    for modality in info.modalities:
        features[f"{modality}_features"] = {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"}
        fields.append(pa.field(f"{modality}_features", pa.list_(pa.float32())))
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _in_groups(dialogues: ShardSet) -> Iterator[list[Dialogue]]:
    group: list[Dialogue] = []
    for dialogue in dialogues:
        group.append(dialogue)
        if sum(map(len, group)) >= ROWS_AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _hub_table(dialogues: Sequence[Dialogue], info: DatasetInfo, schema: pa.Schema) -> pa.Table:
    columns: dict[str, Any] = {
        "dialogue": [d.dialogue_id for d in dialogues for _ in range(len(d))],
        "utterance": [turn for d in dialogues for turn in range(len(d))],
        "speaker": np.concatenate([d.speakers for d in dialogues]),
        "text": [words for d in dialogues for words in (d.utterances or [None] * len(d))],
        "emotion": np.concatenate([d.labels for d in dialogues]).astype(np.int64),
    }
    if info.sentiment_names:
        columns["sentiment"] = np.concatenate([_sentiments(d) for d in dialogues]).astype(np.int64)
    for modality in info.modalities:
        matrix = np.concatenate([d.features[modality] for d in dialogues])
        there = np.concatenate([_there(d, modality) for d in dialogues])
        width = info.widths[modality]
        offsets = pa.array(np.arange(0, (len(matrix) + 1) * width, width, dtype=np.int32))
        columns[f"{modality}_features"] = pa.ListArray.from_arrays(offsets, matrix.reshape(-1), mask=pa.array(~there))
    return pa.table([pa.array(columns[field.name], field.type) if not isinstance(columns[field.name], pa.Array)
                     else columns[field.name] for field in schema], schema=schema)  # fmt: skip


def _sentiments(dialogue: Dialogue) -> Any:
    return np.full(len(dialogue), -1, np.int32) if dialogue.sentiments is None else dialogue.sentiments


def _there(dialogue: Dialogue, modality: str) -> Any:
    return dialogue.present.get(modality, np.ones(len(dialogue), dtype=bool))


def _npz(source: ShardSet, unfinished: Path, target: Path) -> Export:
    """One archive of arrays; ``numpy.load(OUT)`` reads it without pickles."""
    info, dialogues = source.info, list(source)
    arrays: dict[str, Any] = {
        "dialogue_ids": np.array([d.dialogue_id for d in dialogues]),
        "splits": np.array([d.split for d in dialogues]),
        "lengths": np.array([len(d) for d in dialogues], dtype=np.int32),
        "speakers": np.concatenate([d.speakers for d in dialogues]),
        "labels": np.concatenate([d.labels for d in dialogues]),
        "class_names": np.array(info.class_names),
    }
    if all(d.utterances for d in dialogues):
        arrays["utterances"] = np.array([words for d in dialogues for words in d.utterances])
    if info.sentiment_names:
        arrays["sentiments"] = np.concatenate([_sentiments(d) for d in dialogues])
        arrays["sentiment_names"] = np.array(info.sentiment_names)
    for modality in info.modalities:
        arrays[modality] = np.concatenate([d.features[modality] for d in dialogues])
        arrays[f"{modality}_present"] = np.concatenate([_there(d, modality) for d in dialogues])
    with unfinished.open("wb") as stream:
        np.savez(stream, **arrays)
    return Export((target,), ("utterances lie dialogue after dialogue; lengths says how many each has",))


def _mmgcn(source: ShardSet, unfinished: Path, target: Path) -> Export:
    """MMGCN's tuple: of 9 for IEMOCAP's classes and two speakers, else of 10.

    The programs that read it know no validation list: its dialogues are in the training list, and in a file beside it.
    """
    info, dialogues = source.info, {split: list(source.select(split=split)) for split in SPLITS}
    every = [d for split in SPLITS for d in dialogues[split]]
    whole = all(str(int(d.dialogue_id)) == d.dialogue_id for d in every if d.dialogue_id.isdecimal())
    numbered = whole and all(d.dialogue_id.isdecimal() for d in every)

    def name(dialogue: Dialogue) -> Any:
        return int(dialogue.dialogue_id) if numbered else dialogue.dialogue_id

    two = info.class_names in (IEMOCAP_CLASSES, IEMOCAP_CLASSES[:4]) and info.speaker_count <= 2
    speakers = max(2, info.speaker_count, MELD_SPEAKERS if info.dataset == "meld" else 0)
    content = (
        {name(d): [f"{d.dialogue_id}_{turn}" for turn in range(len(d))] for d in every},
        {name(d): ["MF"[s] for s in d.speakers] if two else np.eye(speakers)[d.speakers].tolist() for d in every},
        {name(d): d.labels.tolist() for d in every},
        *({name(d): np.array(d.features[m]) for d in every} if m in info.widths else None for m in MODALITIES),
        {name(d): list(d.utterances or [""] * len(d)) for d in every},
        [name(d) for split in ("train", "val") for d in dialogues[split]],
        [name(d) for d in dialogues["test"]],
        *(() if two else ({},)),
    )
    with unfinished.open("wb") as stream:
        pickle.dump(content, stream, protocol=2)
    val = "".join(f"{d.dialogue_id}\n" for d in dialogues["val"])
    _val_list(unfinished).write_text(val, encoding="utf-8")
    return Export((target, _val_list(target)), tuple(_mmgcn_notes(info, every, target, _val_list(target))))


def _val_list(target: Path) -> Path:
    """Where the ids of the validation dialogues lie, which MMGCN's pickle has no place for."""
    return target.with_name(f"{target.name}.val.txt")


def _mmgcn_notes(info: DatasetInfo, every: Sequence[Dialogue], target: Path, val: Path) -> Iterator[str]:
    """What the pickle cannot hold, and how it is read again."""
    if absent := [m for m in MODALITIES if m not in info.widths]:
        yield f"its {join_words(absent)} is None: MMGCN's program needs all three modalities"
    missing = sum(int((~there).sum()) for d in every for there in d.present.values())
    if missing:
        yield f"{quantity(missing, 'missing row')} became zeros"
    unlabelled = sum(int((d.labels == UNLABELLED).sum()) for d in every)
    if unlabelled:
        yield f"{quantity(unlabelled, 'utterance')} without a label have -1, which other programs may not know"
    if info.sentiment_names:
        yield "the sentiments are left out"
    places = ",".join(f"{m}={place}" for place, m in enumerate(MODALITIES, start=3) if m in info.widths)
    names = f"--dataset {quote(info.dataset)} --classes {quote(as_classes(info.class_names))}"
    again = f"dclf data import features {quote(str(target))} SHARDS {names} --elements {places}"
    yield f"read it again with: {again} --val-ids {quote(str(val))}"


FORMS: dict[str, Callable[[ShardSet, Path, Path], Export]] = {
    "huggingface": _huggingface,
    "npz": _npz,
    "mmgcn": _mmgcn,
}
