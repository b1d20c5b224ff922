"""The utterances of a table before they have features: words, and where each one's recording lies.

A table is a CSV file with an utterance a row, or the folder of MELD's three tables. Whether a recording is there is
seen when it is read: a row of the table is never lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from dclf.data.errors import DataError, SourceError
from dclf.data.importers.conversations import Conversation, Transcript
from dclf.data.importers.meld_csv import read_meld
from dclf.data.importers.sources import PathLike
from dclf.data.importers.tables import SourceTable, read_own_table
from dclf.data.importers.timing import seconds
from dclf.extraction.contract import Utterance
from dclf.extraction.meld_media import MeldMedia

RECORDING_COLUMNS = ("media", "start", "end")
"""What columns of a CSV may be for beside those of ``dclf.data.importers.tables``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class UtteranceTable:
    """Conversations, and what there is to make their features of.

    Attributes:
        transcript: the conversations.
        utterances: of all of them, one conversation after the other.
        media: the folder that recordings lie in.
        recorded: whether the table says where recordings are.
    """

    transcript: Transcript
    utterances: tuple[Utterance, ...]
    media: Path
    recorded: bool

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Dialogue id -> place of its first utterance in ``utterances``."""
        conversations = self.transcript.conversations
        begins = accumulate(map(len, conversations), initial=0)
        return {c.dialogue_id: begin for c, begin in zip(conversations, begins, strict=False)}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What each utterance is called in messages."""
        return tuple(
            f"dialogue {c.dialogue_id} utterance {turn}" for c in self.transcript.conversations for turn in c.turns
        )


def read_table(
    table: PathLike,
    media: PathLike | None = None,
    *,
    columns: str | None = None,
    classes: str | None = None,
    dataset: str | None = None,
) -> UtteranceTable:
    """Read the utterances of a table.

    Args:
        table: a CSV file as ``import_csv`` reads it, with the columns media, start and end where there are recordings:
            its path below ``media``, and the seconds, or clock times such as 0:01:05.250, between which it is heard;
            or a folder of MELD's tables, whose recordings are dia{D}_utt{U}.mp4 in the folders of MELD.Raw.
        media: folder of the recordings; that of the table where None.
        columns: which column is what, such as dialogue=Talk,text=Words,media=File.
        classes: the emotions in the order of their numbers, with commas between; else the order of first appearance.
        dataset: name of the data.

    Raises:
        SourceError: the table cannot be read or has not the columns, or an option is not for it.
        DataError: cells that cannot be, all of them.
    """
    source = Path(table)
    folder = Path(media) if media is not None else source if source.is_dir() else source.parent
    folder = folder.absolute()  # processes elsewhere read the recordings
    if not source.is_dir():
        return _own(source, folder, columns, classes, dataset)
    options = {"--columns": columns, "--classes": classes, "--dataset": dataset}
    if misplaced := [option for option, value in options.items() if value is not None]:
        raise SourceError(
            f"{source}: is a folder, whose tables must be MELD's, and {', '.join(misplaced)} is for a CSV file; "
            "leave it out, or name the file"
        )
    return _meld(source, folder)


def _own(source: Path, folder: Path, columns: str | None, classes: str | None, dataset: str | None) -> UtteranceTable:
    transcript, table = read_own_table(source, columns, classes, dataset, beside=RECORDING_COLUMNS)
    recorded = "media" in table.columns
    times = _Times(table)
    utterances = tuple(
        Utterance(
            text=words,
            recording=_path(folder, table.columns["media"][row]) if recorded else "",
            start=times.at("start", row),
            end=times.at("end", row),
        )
        for c in transcript.conversations
        for row, words in zip(_rows(c), _words(c), strict=True)
    )
    times.refuse_wrong(utterances, [row for c in transcript.conversations for row in _rows(c)])
    return UtteranceTable(
        transcript=replace(transcript, provenance={"table": "csv", **transcript.provenance}),
        utterances=utterances,
        media=folder,
        recorded=recorded,
    )


def _meld(source: Path, folder: Path) -> UtteranceTable:
    transcript, _ = read_meld(source)
    recordings = MeldMedia(folder)
    utterances = tuple(
        Utterance(text=words, recording=str(recordings.path(c.split, f"dia{c.number}_utt{turn}")))
        for c in transcript.conversations
        for turn, words in zip(c.turns, _words(c), strict=True)
    )
    return UtteranceTable(
        transcript=replace(transcript, provenance={"table": "meld-csv", **transcript.provenance}),
        utterances=utterances,
        media=folder,
        recorded=True,
    )


def _words(conversation: Conversation) -> Sequence[str]:
    return conversation.utterances or ("",) * len(conversation)


def _rows(conversation: Conversation) -> list[int]:
    return [] if conversation.places is None else conversation.places.tolist()


def _path(folder: Path, cell: str) -> str:
    return str(folder / cell.strip()) if cell.strip() else ""


class _Times:
    """The columns start and end of a table, and what is wrong with them."""

    def __init__(self, table: SourceTable) -> None:
        self._table = table
        self._problems: dict[int, str] = {}

    def at(self, column: str, row: int) -> float | None:
        """Seconds; None where the cell is empty, wrong or not there."""
        cell = self._table.columns[column][row].strip() if column in self._table.columns else ""
        try:
            return moment(cell) if cell else None
        except ValueError as error:
            self._problems[row] = f"{column} {error}"
            return None

    def refuse_wrong(self, utterances: Sequence[Utterance], rows: Sequence[int]) -> None:
        """DataError names every row whose times are none, or whose end is not behind its start."""
        for utterance, row in zip(utterances, rows, strict=True):
            if utterance.end is not None and utterance.end <= (utterance.start or 0.0):
                self._problems[row] = f"end must be after start, is {utterance.end:g} after {utterance.start or 0:g}"
        if self._problems:
            first = self._table.start
            problems = [f"row {row + first}: {problem}" for row, problem in sorted(self._problems.items())]
            raise DataError(problems, self._table.source)


def moment(cell: str) -> float:
    """Seconds of ``12.5`` or ``0:00:12.500``; ValueError on anything else."""
    try:
        value = float(cell)
    except ValueError:
        try:
            return seconds(cell)
        except ValueError:
            value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"must be seconds from 0 on, or a time like 0:00:12.500, is {cell!r}")
    return value
