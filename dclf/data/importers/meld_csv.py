"""MELD's utterance tables, with feature rows in files beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dclf.data.errors import DataError, SourceError
from dclf.data.importers.conversations import (
    Conversation,
    Imported,
    Rows,
    SplitRows,
    TableRows,
    Transcript,
    assemble,
)
from dclf.data.importers.csv_files import read_csv
from dclf.data.importers.datasets import CORPORA, MELD_SENTIMENTS
from dclf.data.importers.pickle_parts import NAME_SPEAKERS, is_nobody, speaker_names
from dclf.data.importers.replacement import with_replacements
from dclf.data.importers.sources import PathLike, describe, read_each
from dclf.data.importers.timing import TIMING_COLUMNS, seconds, timing_features
from dclf.data.presets import MELD_CLASSES

FILES = {"train": "train", "val": "dev", "test": "test"}
"""Our split -> MELD's name for it, which is also what {split} stands for in patterns."""
TIMING = "timing"

_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime")
_SENTIMENT = "Sentiment"


@dataclass(frozen=True, eq=False)
class MeldTable:
    """One of MELD's CSVs.

    Attributes:
        file: its path.
        rows: column -> cell, row by row.
        dialogues: id -> its rows, in the order they are spoken.
    """

    file: Path
    rows: list[dict[str, str]]
    dialogues: dict[str, list[int]]


def import_meld_csv(
    folder: PathLike, text: str | None = None, audio: str | None = None, visual: str | None = None
) -> Imported:
    """MELD from its authors' tables.

    They are ``train.csv``, ``dev.csv`` and ``test.csv``, or ``train_sent_emo.csv`` and so on. Dialogue ids become
    ``train-0``, ``dev-0``, ``test-0``, since the tables number them anew. Speakers are numbered within each dialogue,
    by first appearance. Sentiments come along as a second label.

    Args:
        folder: where the three tables are.
        text: file of text features: MELD's authors' list of three dicts, or a pattern of one file for each table, such
            as ``rows/{split}_minilm.npy``; {split} is train, dev and test. FILE#K takes element K of several.
        audio: such a file or pattern, or ``timing``: durations, speaking rate, pauses and overlaps from the tables'
            clock, standardised on the training split (``dclf.data.importers.timing``).
        visual: such a file or pattern.

    Raises:
        SourceError: a table or a file of rows is missing or laid out otherwise, or has another number of rows.
        DataError: unknown emotions, utterances without a speaker or twice, broken clock times: all of them.
    """
    replacements = {m: p for m, p in (("text", text), ("audio", audio), ("visual", visual)) if p is not None}
    if not replacements:
        raise SourceError("meld-csv: no features asked for; give at least one of text, audio (or 'timing') and visual")
    for modality in ("text", "visual"):
        if replacements.get(modality) == TIMING:
            raise SourceError(f"{modality}: 'timing' is known for audio only; give a file, or a pattern with {{split}}")
    transcript, tables = read_meld(folder)
    sources, rows = transcript.provenance["sources"], dict[str, Rows]()
    if replacements.get("audio") == TIMING and isinstance(sources, dict):
        del replacements["audio"]
        rows["audio"], sources["audio"] = _timing(tables)
    rows, origins = with_replacements(rows, replacements, transcript.conversations)
    provenance = {"importer": "meld-csv", **transcript.provenance, **origins}
    return assemble(transcript.corpus, transcript.conversations, rows, provenance)


def read_meld(folder: PathLike) -> tuple[Transcript, dict[str, MeldTable]]:
    """MELD's conversations from the tables of a folder, see ``import_meld_csv``.

    Returns:
        The conversations, and split -> its table.

    Raises:
        SourceError: a table is missing or laid out otherwise.
        DataError: unknown emotions, utterances without a speaker or twice: all of them.
    """
    tables = read_each(FILES, lambda split: _read_table(_file(Path(folder), FILES[split])))
    conversations = [c for split, table in tables.items() for c in _conversations(split, table)]
    provenance: dict[str, object] = {
        "sources": {table.file.name: describe(table.file) for table in tables.values()},
        "validation": {"method": "published dev split"},
    }
    return Transcript(corpus=CORPORA["meld"], conversations=conversations, provenance=provenance), tables


def _file(folder: Path, name: str) -> Path:
    """The table under the authors' own name where it is there, else under the short one."""
    own, short = folder / f"{name}_sent_emo.csv", folder / f"{name}.csv"
    if own.exists() and short.exists():
        raise SourceError(f"{folder}: has both {own.name} and {short.name}; keep the one that the features follow")
    return own if own.exists() else short


def _read_table(file: Path) -> MeldTable:
    rows, columns = read_csv(file)
    lacking = [column for column in _COLUMNS if column not in columns]
    if lacking or not rows:
        what = f"has no column {', '.join(lacking)}" if lacking else "has no rows"
        raise SourceError(f"{file}: {what}; MELD's tables have {', '.join(_COLUMNS)}")
    for row in rows:
        row |= {column: row[column].strip() for column in ("Dialogue_ID", "Utterance_ID")}
    _refuse_bad_rows(file, rows)
    dialogues: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        dialogues.setdefault(row["Dialogue_ID"], []).append(place)
    return MeldTable(file, rows, {name: _in_spoken_order(rows, places) for name, places in dialogues.items()})


def _in_spoken_order(rows: Sequence[Mapping[str, str]], places: list[int]) -> list[int]:
    """The places of a dialogue's rows by their numbers; as the table has them where these are none."""
    if all(rows[place]["Utterance_ID"].isdecimal() for place in places):
        return sorted(places, key=lambda place: int(rows[place]["Utterance_ID"]))
    return places


def _refuse_bad_rows(file: Path, rows: list[dict[str, str]]) -> None:
    labels = {"Emotion": MELD_CLASSES, _SENTIMENT: MELD_SENTIMENTS}
    problems = [
        f"row {line}, dialogue {row['Dialogue_ID']}: {row[column]!r} is none of {', '.join(names)}"
        for line, row in enumerate(rows, start=2)
        for column, names in labels.items()
        if column in row and row[column].lower() not in names
    ]
    first: dict[tuple[str, str], int] = {}
    for line, row in enumerate(rows, start=2):
        where, turn = f"row {line}, dialogue {row['Dialogue_ID']}", (row["Dialogue_ID"], row["Utterance_ID"])
        if is_nobody(row["Speaker"]):
            problems.append(f"{where}: Speaker must be a name, is empty; {NAME_SPEAKERS}")
        if not all(turn):
            problems.append(f"{where}: Dialogue_ID and Utterance_ID must be numbers, one is empty")
        elif first.setdefault(turn, line) != line:
            problems.append(f"{where}: Utterance_ID {turn[1]} is there already, in row {first[turn]}; keep one of them")
    if problems:
        raise DataError(problems, str(file))


def _conversations(split: str, table: MeldTable) -> list[Conversation]:
    """The conversations of one table."""
    feelings = _SENTIMENT in table.rows[0]
    conversations = []
    for number, places in table.dialogues.items():
        rows = [table.rows[place] for place in places]
        name = f"{FILES[split]}-{number}"
        sentiments = [MELD_SENTIMENTS.index(row[_SENTIMENT].lower()) for row in rows] if feelings else None
        conversations.append(
            Conversation(
                name=name,
                dialogue_id=name,
                split=split,
                speakers=speaker_names(row["Speaker"] for row in rows),
                labels=np.array([MELD_CLASSES.index(row["Emotion"].lower()) for row in rows], dtype=np.int32),
                utterances=tuple(row["Utterance"] for row in rows),
                sentiments=None if sentiments is None else np.array(sentiments, dtype=np.int32),
                number=number,
                utterance_numbers=tuple(row["Utterance_ID"] for row in rows),
                split_places=np.array(places, dtype=np.intp),
            )
        )
    return conversations


def _timing(tables: Mapping[str, MeldTable]) -> tuple[Rows, dict[str, object]]:
    raw = {split: _timing_of(table) for split, table in tables.items()}
    mean, std = raw["train"].mean(axis=0), raw["train"].std(axis=0)
    std = np.where(std == 0, 1.0, std)
    rows = {split: TableRows(((each - mean) / std).astype(np.float32), of_split=True) for split, each in raw.items()}
    return SplitRows(rows), {"timing": list(TIMING_COLUMNS), "mean": mean.tolist(), "std": std.tolist()}


def _timing_of(table: MeldTable) -> NDArray[np.float64]:
    starts, ends = _clock(table, "StartTime"), _clock(table, "EndTime")
    rows = np.zeros((len(table.rows), len(TIMING_COLUMNS)))
    for places in table.dialogues.values():
        transcripts = [table.rows[place]["Utterance"] for place in places]
        rows[places] = timing_features(starts[places], ends[places], transcripts)
    return rows


def _clock(table: MeldTable, column: str) -> NDArray[np.float64]:
    times, problems = np.zeros(len(table.rows)), []
    for place, row in enumerate(table.rows):
        try:
            times[place] = seconds(row[column])
        except ValueError as error:
            problems.append(f"row {place + 2}, dialogue {row['Dialogue_ID']}: {column} {error}")
    if problems:
        raise DataError(problems, str(table.file))
    return times
