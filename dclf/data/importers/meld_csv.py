"""MELD's utterance tables, with feature rows in ``.npy`` files that follow them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.errors import DataError, SourceError
from dclf.data.importers.sources import describe
from dclf.data.importers.timing import TIMING_COLUMNS, seconds, timing_features
from dclf.data.presets import MELD_CLASSES

PathLike = str | os.PathLike[str]

FILES = {"train": "train", "val": "dev", "test": "test"}
"""Our split -> MELD's name for it, which is also what {split} stands for in patterns."""
TIMING = "timing"

_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime")


@dataclass(frozen=True, eq=False)
class _Table:
    """One CSV: its rows, and which of them form each dialogue, in the order they are spoken."""

    file: Path
    rows: list[dict[str, str]]
    dialogues: dict[str, list[int]]


def import_meld_csv(
    folder: PathLike, text: str | None = None, audio: str | None = None, visual: str | None = None
) -> tuple[DatasetInfo, Iterator[Dialogue]]:
    """MELD from ``train.csv``, ``dev.csv`` and ``test.csv``.

    Dialogue ids become ``train-0``, ``dev-0``, ``test-0``, since the tables number them anew. Speakers are numbered
    within each dialogue, by first appearance.

    Args:
        folder: where the three tables are.
        text: pattern of the text rows' files, such as ``rows/{split}_minilm.npy``; {split} is train, dev and test.
        audio: such a pattern, or ``timing``: durations, speaking rate, pauses and overlaps from the tables' clock,
            standardised on the training split (``dclf.data.importers.timing``).
        visual: such a pattern.

    Raises:
        SourceError: a table or a file of rows is missing or laid out otherwise, or has another number of rows.
        DataError: unknown emotions or broken clock times, all of them.
    """
    patterns = {m: p for m, p in (("text", text), ("audio", audio), ("visual", visual)) if p is not None}
    if not patterns:
        raise SourceError("meld-csv: no features asked for; give at least one of text, audio (or 'timing') and visual")
    tables = {split: _read_table(Path(folder) / f"{name}.csv") for split, name in FILES.items()}
    sources: dict[str, object] = {table.file.name: describe(table.file) for table in tables.values()}
    features: dict[str, dict[str, NDArray[np.floating]]] = {}
    for modality, pattern in patterns.items():
        features[modality], sources[modality] = _rows_of(modality, pattern, tables)
    info = DatasetInfo(
        dataset="meld",
        class_names=MELD_CLASSES,
        widths={modality: rows["train"].shape[1] for modality, rows in features.items()},
        speaker_count=max(len(_speakers(table, rows)[1]) for table in tables.values() for rows in _dialogues(table)),
        provenance={"importer": "meld-csv", "sources": sources, "validation": {"method": "published dev split"}},
    )
    return info, _stream(tables, features)


def _read_table(file: Path) -> _Table:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{file}: cannot be read as a UTF-8 CSV ({error}); check the folder") from error
    lacking = [column for column in _COLUMNS if column not in columns]
    if lacking or not rows:
        what = f"has no column {', '.join(lacking)}" if lacking else "has no rows"
        raise SourceError(f"{file}: {what}; MELD's tables have {', '.join(_COLUMNS)}")
    _refuse_bad_rows(file, rows)
    return _Table(file, rows, _by_dialogue(rows))


def _refuse_bad_rows(file: Path, rows: list[dict[str, str]]) -> None:
    problems = []
    for line, row in enumerate(rows, start=2):
        if any(row[column] is None for column in _COLUMNS):
            problems.append(f"row {line} has too few fields")
        elif row["Emotion"].lower() not in MELD_CLASSES:
            known = ", ".join(MELD_CLASSES)
            problems.append(f"row {line}, dialogue {row['Dialogue_ID']}: {row['Emotion']!r} is none of {known}")
    if problems:
        raise DataError(problems, str(file))


def _by_dialogue(rows: list[dict[str, str]]) -> dict[str, list[int]]:
    dialogues: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        dialogues.setdefault(row["Dialogue_ID"], []).append(place)
    return dialogues


def _dialogues(table: _Table) -> Iterator[list[int]]:
    yield from table.dialogues.values()


def _rows_of(
    modality: str, pattern: str, tables: Mapping[str, _Table]
) -> tuple[dict[str, NDArray[np.floating]], dict[str, object]]:
    if pattern == TIMING:
        if modality != "audio":
            raise SourceError(f"{modality}: 'timing' is known for audio only; give a pattern with {{split}}")
        return _timing(tables)
    if "{split}" not in pattern:
        raise SourceError(f"{modality}: the pattern must hold {{split}}, such as rows/{{split}}.npy, is {pattern!r}")
    files = {split: Path(pattern.replace("{split}", name)) for split, name in FILES.items()}
    rows = {split: _load_rows(file, tables[split]) for split, file in files.items()}
    _refuse_other_widths(files, rows)
    return rows, {file.name: describe(file) for file in files.values()}


def _load_rows(file: Path, table: _Table) -> NDArray[np.floating]:
    try:
        rows: NDArray[np.floating] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{file}: cannot be read as an .npy array ({error}); check the pattern") from error
    if rows.ndim != 2 or rows.dtype.kind != "f":
        raise SourceError(f"{file}: must hold floats [rows, D], holds {rows.dtype} {list(rows.shape)}")
    if len(rows) != len(table.rows):
        raise SourceError(
            f"{file}: has {len(rows)} rows, {table.file} has {len(table.rows)}; rows must follow the table's order"
        )
    return rows


def _refuse_other_widths(files: Mapping[str, Path], rows: Mapping[str, NDArray[np.floating]]) -> None:
    expected = rows["train"].shape[1]
    for split, file in files.items():
        if rows[split].shape[1] != expected:
            raise SourceError(f"{file}: is {rows[split].shape[1]} wide, {files['train']} is {expected} wide")


def _timing(tables: Mapping[str, _Table]) -> tuple[dict[str, NDArray[np.floating]], dict[str, object]]:
    raw = {split: _timing_of(table) for split, table in tables.items()}
    mean, std = raw["train"].mean(axis=0), raw["train"].std(axis=0)
    std = np.where(std == 0, 1.0, std)
    scaled = {split: ((rows - mean) / std).astype(np.float32) for split, rows in raw.items()}
    return dict(scaled), {"timing": list(TIMING_COLUMNS), "mean": mean.tolist(), "std": std.tolist()}


def _timing_of(table: _Table) -> NDArray[np.float64]:
    starts, ends = _clock(table, "StartTime"), _clock(table, "EndTime")
    rows = np.zeros((len(table.rows), len(TIMING_COLUMNS)))
    for places in _dialogues(table):
        transcripts = [table.rows[place]["Utterance"] for place in places]
        rows[places] = timing_features(starts[places], ends[places], transcripts)
    return rows


def _clock(table: _Table, column: str) -> NDArray[np.float64]:
    times, problems = np.zeros(len(table.rows)), []
    for place, row in enumerate(table.rows):
        try:
            times[place] = seconds(row[column])
        except ValueError as error:
            problems.append(f"row {place + 2}, dialogue {row['Dialogue_ID']}: {column} {error}")
    if problems:
        raise DataError(problems, str(table.file))
    return times


def _speakers(table: _Table, places: list[int]) -> tuple[NDArray[np.int32], dict[str, int]]:
    """Speaker of each utterance, and name -> number."""
    numbers: dict[str, int] = {}
    speakers = [numbers.setdefault(table.rows[place]["Speaker"].strip(), len(numbers)) for place in places]
    return np.array(speakers, dtype=np.int32), numbers


def _stream(
    tables: Mapping[str, _Table], features: Mapping[str, Mapping[str, NDArray[np.floating]]]
) -> Iterator[Dialogue]:
    for split, table in tables.items():
        for number, places in table.dialogues.items():
            rows = [table.rows[place] for place in places]
            yield Dialogue(
                dialogue_id=f"{FILES[split]}-{number}",
                split=split,
                speakers=_speakers(table, places)[0],
                labels=np.array([MELD_CLASSES.index(row["Emotion"].lower()) for row in rows], dtype=np.int32),
                utterances=tuple(row["Utterance"] for row in rows),
                features={m: np.asarray(of[split][places], dtype=np.float32) for m, of in features.items()},
            )
