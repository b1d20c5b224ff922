"""Conversations from a table with one utterance a row, whatever its columns are called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import SPLITS, UNLABELLED
from dclf.data.errors import DataError, SourceError
from dclf.data.importers.conversations import Conversation, Imported, Transcript, assemble
from dclf.data.importers.csv_files import read_csv
from dclf.data.importers.datasets import Corpus, alike_but_case, listed_classes
from dclf.data.importers.pickle_parts import NAME_SPEAKERS, is_nobody, speaker_names, transcripts
from dclf.data.importers.replacement import SPLIT_NAMES, with_replacements
from dclf.data.importers.sources import PathLike, describe, refuse_empty_splits
from dclf.prose import join_words

COLUMNS = ("dialogue", "speaker", "text", "emotion", "split", "utterance", "sentiment")
"""What columns may be for; only dialogue, speaker, emotion and split are needed."""
NEEDED = ("dialogue", "speaker", "emotion", "split")


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceTable:
    """Columns by what they are for, all equally long.

    Attributes:
        source: for messages.
        columns: of ``COLUMNS`` -> values as text; an empty emotion is none.
        start: number of the first row, for messages.
        several_files: whether it was put together from several files.
        numbered: whether speakers are numbers to keep, and not names to number by first appearance.
        numbers: dialogue id -> its number within its split, where each split is numbered anew.
    """

    source: str
    columns: Mapping[str, Sequence[str]]
    start: int = 2
    several_files: bool = False
    numbered: bool = False
    numbers: Mapping[str, str] = field(default_factory=dict)
    _split: dict[str, str] = field(default_factory=lambda: {
        name: split for split, names in {**SPLIT_NAMES, "train": ("train", "training")}.items() for name in names
    })  # fmt: skip

    def __len__(self) -> int:
        return len(self.columns["dialogue"])

    @cached_property
    def _unique_turns(self) -> bool:
        turns = self.columns.get("utterance", ())
        return len({*turns}) == len(turns)

    def values_of(self, column: str) -> tuple[str, ...]:
        """The values of a column in the order in which they appear, without the empty one.

        Raises:
            DataError: two of them differ in case alone, and would be two classes.
        """
        values = [value.strip() for value in self.columns.get(column, ())]
        names = tuple(value for value in dict.fromkeys(values) if value)
        remedy = ", or name both with --classes if they are two" if column == "emotion" else ""
        if problems := [
            f"{self._where(values.index(name))}: the {column} {name!r} differs in case alone from {first!r} in "
            f"{self._where(values.index(first))}; write them alike{remedy}"
            for first, name in alike_but_case(names)
        ]:
            raise DataError(problems, self.source)
        return names

    def conversations(self, classes: Sequence[str], sentiments: Sequence[str] = ()) -> list[Conversation]:
        """The conversations in the order of the splits and then of the rows.

        Raises:
            DataError: emotions and splits that are none, dialogues in two splits, rows without a dialogue or a speaker,
                utterances that are there twice: all of them.
        """
        dialogues = [name.strip() for name in self.columns["dialogue"]]
        splits = [self._split.get(value.strip().lower(), "") for value in self.columns["split"]]
        labels, problems = self._numbers("emotion", classes)
        feelings, more = self._numbers("sentiment", sentiments) if sentiments else (None, [])
        problems += more
        rows_of: dict[str, list[int]] = {}
        split_of: dict[str, str] = {}
        for row, name in enumerate(dialogues):
            rows_of.setdefault(name, []).append(row)
            if not splits[row]:
                problems.append(
                    f"{self._where(row)}: split must be train, val or test, is {self._cell('split', row)!r}"
                )
            elif split_of.setdefault(name, splits[row]) != splits[row]:
                both = f"{split_of[name]} and {splits[row]}"
                problems.append(
                    f"{self._where(row)}: dialogue {name!r} is in two splits, {both}; dialogue ids must be unique"
                )
        problems += [*self._empty_cells(dialogues), *self._repeated(dialogues)]
        if problems:
            raise DataError(problems, self.source)
        by_split = {split: [name for name in rows_of if split_of[name] == split] for split in SPLITS}
        refuse_empty_splits(by_split, self.source)
        place_in_split = _counted_by(splits)
        return [
            self._conversation(name, split, self._ordered(rows_of[name]), labels, feelings, place_in_split)
            for split, names in by_split.items()
            for name in names
        ]

    def _empty_cells(self, dialogues: Sequence[str]) -> Iterator[str]:
        for row, (name, speaker) in enumerate(zip(dialogues, self.columns["speaker"], strict=True)):
            if not name:
                yield f"{self._where(row)}: dialogue must be an id, is empty; say which dialogue the row is of"
            if is_nobody(speaker):
                yield f"{self._where(row)}, dialogue {name}: speaker must be a name, is empty; {NAME_SPEAKERS}"

    def _repeated(self, dialogues: Sequence[str]) -> Iterator[str]:
        """Utterances of one dialogue that have the same number or id."""
        first: dict[tuple[str, str | int], int] = {}
        for row, turn in enumerate(value.strip() for value in self.columns.get("utterance", ())):
            number = turn.isdecimal()
            earlier = first.setdefault((dialogues[row], int(turn) if number else turn), row)
            if turn and earlier != row:
                words = "" if number else ", or say --columns text=COLUMN if the column has the words"
                yield (
                    f"{self._where(row)}, dialogue {dialogues[row]}: the utterance {turn!r} is there already, in "
                    f"{self._where(earlier)}; keep one of them{words}"
                )

    def _cell(self, column: str, row: int) -> str:
        return self.columns[column][row]

    def _where(self, row: int) -> str:
        return f"row {row + self.start}"

    def _numbers(self, column: str, names: Sequence[str]) -> tuple[NDArray[np.int32], list[str]]:
        """Number of each row's name, and every value that is none of them with its first row."""
        numbers = {name: number for number, name in enumerate(names)}
        values = [value.strip() for value in self.columns[column]]
        unknown: dict[str, list[int]] = {}
        for row, value in enumerate(values):
            if value and value not in numbers:
                unknown.setdefault(value, []).append(row)
        wrong = [
            f"{self._where(rows[0])}, dialogue {self._cell('dialogue', rows[0]).strip()}: {value!r} is none of "
            f"{', '.join(names)}{f', in {len(rows):,} rows' if len(rows) > 1 else ''}"
            for value, rows in unknown.items()
        ]
        return np.array([numbers.get(value, UNLABELLED) for value in values], dtype=np.int32), wrong

    def _ordered(self, rows: list[int]) -> list[int]:
        turns = [self._cell("utterance", row).strip() for row in rows] if "utterance" in self.columns else []
        if turns and all(turn.isdecimal() for turn in turns):
            return [row for _, row in sorted(zip(map(int, turns), rows, strict=True))]
        return rows

    def _speakers(self, rows: list[int]) -> NDArray[np.int32]:
        names = [self._cell("speaker", row) for row in rows]
        return np.array([int(name) for name in names], dtype=np.int32) if self.numbered else speaker_names(names)

    def _conversation(
        self,
        name: str,
        split: str,
        rows: list[int],
        labels: NDArray[np.int32],
        feelings: NDArray[np.int32] | None,
        place_in_split: NDArray[np.intp],
    ) -> Conversation:
        turns = tuple(self._cell("utterance", row).strip() for row in rows) if "utterance" in self.columns else ()
        return Conversation(
            name=name,
            dialogue_id=name,
            split=split,
            speakers=self._speakers(rows),
            labels=labels[rows],
            utterances=transcripts(self._cell("text", row) for row in rows) if "text" in self.columns else (),
            sentiments=None if feelings is None else feelings[rows],
            number=self.numbers.get(name, name),
            utterance_ids=turns if self._unique_turns else (),
            utterance_numbers=turns,
            places=np.array(rows, dtype=np.intp),
            split_places=place_in_split[rows],
            several_files=self.several_files,
        )


def _counted_by(splits: Sequence[str]) -> NDArray[np.intp]:
    """Place of each row among those of its split."""
    counts = dict.fromkeys(splits, 0)
    places = np.zeros(len(splits), dtype=np.intp)
    for row, split in enumerate(splits):
        places[row] = counts[split]
        counts[split] += 1
    return places


def parse_columns(text: str | None, present: Sequence[str], roles: Sequence[str], source: str) -> dict[str, str]:
    """What a column is for -> its name, from ``dialogue=Dialogue_ID,text=Utterance``; else the column of the same name.

    A column that is named for something is not taken for what it is called too.

    Raises:
        SourceError: with every part that is not understood, and every column that is not there.
    """
    columns: dict[str, str] = {}
    wrong = []
    for part in (text or "").split(",") if text else ():
        role, mark, column = (piece.strip() for piece in part.partition("="))
        if role not in roles or not mark:
            wrong.append(f"{part.strip()!r} must be WHAT=COLUMN, WHAT one of {', '.join(roles)}")
        elif column not in present:
            wrong.append(f"there is no column {column!r} for {role}")
        elif role in columns:
            wrong.append(f"{role} must be named once, is {columns[role]!r} and {column!r}")
        else:
            columns[role] = column
    if wrong:
        raise SourceError(f"{source}: --columns {text}: {'; '.join(wrong)}. The columns are {', '.join(present)}")
    return {role: role for role in roles if role in present and role not in columns.values()} | columns


def refuse_lacking(columns: Mapping[str, str], needed: Sequence[str], present: Sequence[str], source: str) -> None:
    """SourceError names what no column is for."""
    if lacking := [role for role in needed if role not in columns]:
        example = ",".join(f"{role}=..." for role in lacking)
        raise SourceError(
            f"{source}: must have a column for {join_words(lacking)}; it has {', '.join(present)}: say which is which "
            f"with --columns {example}"
        )


def import_csv(
    table: PathLike,
    columns: str | None = None,
    classes: str | None = None,
    dataset: str | None = None,
    text: PathLike | None = None,
    audio: PathLike | None = None,
    visual: PathLike | None = None,
) -> Imported:
    """Conversations of your own from one CSV file with an utterance a row, features from files beside it.

    Dialogue ids must be unique over the splits; speakers are numbered within each dialogue, by first appearance; an
    empty emotion is context without a label. Utterances follow the rows, or their numbers where the column utterance
    has whole numbers.

    Args:
        table: the CSV file, in UTF-8 with a head.
        columns: which column is what, as dialogue=Dialogue_ID,text=Utterance,emotion=Emotion; of dialogue, speaker,
            text, emotion, split, utterance and sentiment. A column of that name needs no mention.
        classes: the emotions in the order of their numbers, with commas between; else the order of first appearance.
        dataset: name of the data; the file's name where absent.
        text: file with the text features: an .npy in the table's order, or a dict by dialogue or utterance id.
        audio: file with the audio features.
        visual: file with the visual features.

    Raises:
        SourceError: a column is missing, or a file of features does not fit.
        DataError: emotions or splits that are none, dialogues in two splits, utterances twice: all of them.
    """
    transcript, _ = read_own_table(table, columns, classes, dataset)
    replacements = {"text": text, "audio": audio, "visual": visual}
    features, origins = with_replacements({}, replacements, transcript.conversations)
    provenance = {"importer": "csv", **transcript.provenance, **origins}
    return assemble(transcript.corpus, transcript.conversations, features, provenance)


def read_own_table(
    table: PathLike,
    columns: str | None = None,
    classes: str | None = None,
    dataset: str | None = None,
    beside: Sequence[str] = (),
) -> tuple[Transcript, SourceTable]:
    """The conversations of one CSV file with an utterance a row.

    Args:
        table: see ``import_csv``, and so are the next three.
        columns: likewise.
        classes: likewise.
        dataset: likewise.
        beside: what columns may be for beyond ``COLUMNS``; the table has those that are there.

    Returns:
        The conversations, and the table that they are of.

    Raises:
        SourceError: the file cannot be read, or a column is missing.
        DataError: emotions or splits that are none, dialogues in two splits: all of them.
    """
    source = os.fspath(table)
    rows, present = read_csv(Path(source))
    if not rows:
        raise SourceError(f"{source}: has no rows; it must have a head and an utterance a row")
    roles = parse_columns(columns, present, (*COLUMNS, *beside), source)
    refuse_lacking(roles, NEEDED, present, source)
    utterances = SourceTable(source=source, columns={role: [row[name] for row in rows] for role, name in roles.items()})
    names = listed_classes(classes)
    corpus = Corpus(
        name=dataset or Path(source).stem,
        class_names=names or utterances.values_of("emotion"),
        sentiment_names=utterances.values_of("sentiment"),
    )
    provenance: dict[str, object] = {
        "source": describe(source),
        "columns": roles,
        "class order": "as --classes gives it" if names else "first appearance in the table",
        "validation": {"method": "the table's split column"},
    }
    conversations = utterances.conversations(corpus.class_names, corpus.sentiment_names)
    return Transcript(corpus=corpus, conversations=conversations, provenance=provenance), utterances
