"""Conversations from a folder of the datasets library: saved on disk, or its Parquet and Arrow files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dclf.data.dialogue import MODALITIES
from dclf.data.errors import SourceError
from dclf.data.importers.conversations import Imported, Rows, TableRows, assemble
from dclf.data.importers.datasets import Corpus, listed_classes
from dclf.data.importers.replacement import SPLIT_NAMES, with_replacements
from dclf.data.importers.sources import PathLike, as_float32, describe
from dclf.data.importers.tables import COLUMNS, SourceTable, parse_columns, refuse_lacking
from dclf.prose import join_words

FEATURES = tuple(f"{modality}_features" for modality in MODALITIES)
_CLIP = re.compile(r"dia(\d+)_utt(\d+)")
_SPLIT = re.compile(r"(?:^|[^a-z])(train|dev|validation|valid|val|test)(?:[^a-z]|$)")


def import_huggingface(
    folder: PathLike,
    columns: str | None = None,
    classes: str | None = None,
    dataset: str | None = None,
    text: PathLike | None = None,
    audio: PathLike | None = None,
    visual: PathLike | None = None,
) -> Imported:
    """Conversations from a folder of Hugging Face's datasets library, with an utterance a row.

    Reads what ``save_to_disk`` wrote, and folders of Parquet or Arrow files whose names say the split. The classes and
    their order are those of the emotion column's ``ClassLabel``; where it has none, ``classes`` must name them.
    Dialogues are told by a column, or by paths such as ``dia3_utt0.wav``. Columns that need no name: those of ``dclf
    data import csv``, and text_features, audio_features and visual_features with a vector a row.

    Args:
        folder: of the data set.
        columns: which column is what, as dialogue=Dialogue_ID,text=Utterance,emotion=label.
        classes: the emotions in the order of their numbers, with commas between, where the files do not name them.
        dataset: name of the data; the folder's name where absent.
        text: file with the text features: a dict by dialogue or utterance id; {split} stands for train, dev and test.
        audio: file with the audio features.
        visual: file with the visual features.

    Raises:
        SourceError: no such files, a column is missing, or the classes have no names.
        DataError: emotions or splits that are none, dialogues in two splits, utterances twice: all of them.
    """
    root, source = Path(folder), os.fspath(folder)
    files = _files(root)
    schema = _schema(next(iter(files)))
    roles = parse_columns(columns, schema.names, (*COLUMNS, *FEATURES), source)
    clips = _clip_column(next(iter(files)), schema) if "dialogue" not in roles else None
    needed = [role for role in ("dialogue", "speaker", "emotion", "split") if not _has_other_source(role, files, clips)]
    refuse_lacking(roles, needed, schema.names, source)
    data = _read(files, [*roles.values(), *([clips] if clips else [])])
    label_names = {column: _label_names(root, schema, roles.get(column)) for column in ("emotion", "sentiment")}
    names = listed_classes(classes)
    class_names = names or label_names["emotion"]
    if class_names is None:
        values = dict.fromkeys(map(str, data[roles["emotion"]].to_pylist()))
        raise SourceError(
            f"{source}: the column {roles['emotion']} does not name its classes; name them in their order with "
            f"--classes NAME,NAME,... It holds {', '.join(list(values)[:20])}"
        )
    texts = {role: _texts(data[name]) for role, name in roles.items() if role in COLUMNS}
    texts["emotion"] = _by_label(data[roles["emotion"]], label_names["emotion"] or class_names)
    if "sentiment" in roles:
        texts["sentiment"] = _by_label(data[roles["sentiment"]], label_names["sentiment"])
    if "split" not in roles:
        texts["split"] = data[_FILE_SPLIT].to_pylist()
    if clips:
        texts |= _of_clips(source, clips, _texts(data[clips]))
    numbers = _unique_over_splits(texts)
    table = SourceTable(
        source=source,
        columns=texts,
        start=0,
        several_files=len(files) > 1,
        numbered=pa.types.is_integer(data[roles["speaker"]].type) and not data[roles["speaker"]].null_count,
        numbers=numbers,
    )
    sentiments = (label_names["sentiment"] or table.values_of("sentiment")) if "sentiment" in roles else ()
    corpus = Corpus(name=dataset or root.resolve().name, class_names=class_names, sentiment_names=sentiments)
    conversations = table.conversations(corpus.class_names, corpus.sentiment_names)
    own = {m: _vectors(source, data[roles[f"{m}_features"]]) for m in MODALITIES if f"{m}_features" in roles}
    rows, origins = with_replacements(own, {"text": text, "audio": audio, "visual": visual}, conversations)
    provenance: dict[str, object] = {
        "importer": "huggingface",
        "sources": {str(file.relative_to(root)): describe(file) for file in files},
        "columns": roles,
        "class order": "as --classes gives it" if names else f"of the ClassLabel of {roles['emotion']}",
        "validation": {"method": "the table's split column" if "split" in roles else "the files' own split"},
        **origins,
    }
    if clips:
        provenance["dialogues"] = f"from names such as dia3_utt0 in the column {clips}"
    if numbers:
        provenance["numbering"] = "dialogues are numbered anew in each split: their ids have the split before them"
    return assemble(corpus, conversations, rows, provenance)


_FILE_SPLIT = "__split__"


def _has_other_source(role: str, files: Mapping[Path, str], clips: str | None) -> bool:
    """Whether something else than a column says it."""
    return (role == "dialogue" and clips is not None) or (role == "split" and all(files.values()))


def _files(root: Path) -> dict[Path, str]:
    """The data files in order, and the split that folder or name says; SourceError where there is none."""
    parquet = sorted(root.rglob("*.parquet"))
    files = parquet or [file for file in sorted(root.rglob("*.arrow")) if not file.name.startswith("cache-")]
    if not files:
        raise SourceError(
            f"{root}: must be a folder that save_to_disk wrote, or one with Parquet or Arrow files, has neither; "
            f"check the path"
        )
    return {file: _split_of(str(file.relative_to(root))) for file in files}


def _split_of(name: str) -> str:
    words = _SPLIT.findall(name.lower())
    return next((split for split, names in SPLIT_NAMES.items() if words and words[-1] in names), "")


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file) if file.suffix == ".parquet" else _arrow(file).schema
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file}: cannot be read ({error}); download or save it again") from error


def _arrow(file: Path) -> pa.Table:
    """An Arrow file, as a stream, which the datasets library writes, or with a footer."""
    source = pa.memory_map(str(file))
    try:
        return pa.ipc.open_stream(source).read_all()
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_file(source).read_all()


def _read(files: Mapping[Path, str], names: Sequence[str]) -> pa.Table:
    """These columns of all files, and the split that each file's name says."""
    tables = []
    for file, split in files.items():
        try:
            columns = [*dict.fromkeys(names)]
            table = pq.read_table(file, columns=columns) if file.suffix == ".parquet" else _arrow(file).select(columns)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise SourceError(f"{file}: cannot be read ({error}); download or save it again") from error
        tables.append(table.append_column(_FILE_SPLIT, pa.array([split] * len(table), pa.string())))
    try:
        return pa.concat_tables([table.replace_schema_metadata() for table in tables], promote_options="permissive")
    except pa.ArrowException as error:
        raise SourceError(f"{next(iter(files)).parent}: the files' columns are not of one type ({error})") from error


def _clip_column(file: Path, schema: pa.Schema) -> str | None:
    """The column whose texts name dialogue and utterance as MELD's clips do."""
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    first = _read({file: ""}, texts).slice(0, 1).to_pylist() if texts else []
    return next((name for name in texts if first and _CLIP.search(first[0][name] or "")), None)


def _of_clips(source: str, column: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Dialogue and utterance of each clip."""
    matches = [_CLIP.search(name) for name in names]
    wrong = [name for name, match in zip(names, matches, strict=True) if match is None]
    if wrong:
        raise SourceError(f"{source}: the column {column} must have names such as dia3_utt0, has {wrong[0]!r}")
    pairs = [match.groups() for match in matches if match is not None]
    return {"dialogue": [pair[0] for pair in pairs], "utterance": [pair[1] for pair in pairs]}


def _unique_over_splits(texts: dict[str, list[str]]) -> dict[str, str]:
    """Put the split before dialogue numbers that several splits have; new id -> number, empty where none needs it."""
    names = texts["dialogue"] = [name.strip() for name in texts["dialogue"]]
    splits = [name.strip().lower() for name in texts["split"]]
    pairs = dict.fromkeys(zip(splits, names, strict=True))
    if len(pairs) == len({*names}) or not all(name.isdecimal() for name in names):
        return {}
    texts["dialogue"] = [f"{split}-{name}" for split, name in zip(splits, names, strict=True)]
    return {f"{split}-{name}": name for split, name in pairs}


def _texts(column: pa.ChunkedArray) -> list[str]:
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _by_label(column: pa.ChunkedArray, names: Sequence[str] | None) -> list[str]:
    """The name of each number; texts as they are, and numbers without a name as text."""
    if not pa.types.is_integer(column.type):
        return _texts(column)
    classes = names or ()
    return [
        "" if value is None or value == -1 else classes[value] if 0 <= value < len(classes) else str(value)
        for value in column.to_pylist()
    ]


def _label_names(root: Path, schema: pa.Schema, column: str | None) -> tuple[str, ...] | None:
    """The names of a ``ClassLabel``, from the files' own metadata or from dataset_info.json; None where it is none."""
    own = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {})
    beside = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(root.rglob("dataset_info.json"))]
    for info in (own, *beside):
        names = _names_in((info.get("features") or {}).get(column))
        if names:
            return names
    return None


def _names_in(feature: Any) -> tuple[str, ...] | None:
    names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
    return tuple(map(str, names)) if isinstance(names, list) else None


def _vectors(source: str, column: pa.ChunkedArray) -> Rows:
    """A column of vectors, of which some may be null."""
    rows = column.combine_chunks()
    if not any(
        is_list(rows.type) for is_list in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    ):
        raise SourceError(f"{source}: a column of features must have vectors, has {rows.type}")
    present = rows.is_valid().to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(rows).drop_null().to_numpy(zero_copy_only=False)
    width = int(lengths[0]) if len(lengths) else 0
    if not width or (lengths != width).any():
        sizes = join_words([str(int(length)) for length in np.unique(lengths)]) or "none"
        raise SourceError(f"{source}: a column of features must have vectors, all equally wide; the widths are {sizes}")
    matrix = np.zeros((len(rows), width), dtype=np.float32)
    matrix[present] = as_float32(rows.flatten().to_numpy(zero_copy_only=False)).reshape(-1, width)
    return TableRows(matrix, present=None if present.all() else present)
