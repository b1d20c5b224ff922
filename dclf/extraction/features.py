"""Rows that have been extracted, as importers take features: by conversation, with what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dclf.data.importers.conversations import Conversation, Matrix
from dclf.data.importers.keyed_rows import MISSING_NAMED
from dclf.extraction.cache import CachedRows
from dclf.extraction.contents import Key
from dclf.extraction.contract import ExtractionError, Row, Unreadable
from dclf.extraction.table import UtteranceTable
from dclf.prose import quantity


@dataclass(frozen=True, kw_only=True, eq=False)
class ExtractedRows:
    """The features of one modality; a ``dclf.data.importers.conversations.Rows``.

    Attributes:
        modality: for messages.
        table: whose utterances they are of.
        keys: of each utterance, or why there is nothing to read.
        cached: rows by key.
        passing: key -> why there was no row this time.
        folder: where the cached rows lie, for messages.
    """

    modality: str
    table: UtteranceTable
    keys: Sequence[Key]
    cached: CachedRows
    passing: Mapping[str, Unreadable]
    folder: Path

    def row(self, place: int) -> Row:
        """Of one utterance of the table."""
        key = self.keys[place]
        if isinstance(key, Unreadable):
            return key
        return self.passing[key] if key in self.passing else self.cached.row(key)

    @cached_property
    def absent(self) -> dict[int, str]:
        """Place of an utterance without a row -> the reason."""
        rows = ((place, self.row(place)) for place in range(len(self.keys)))
        return {place: row.reason for place, row in rows if isinstance(row, Unreadable)}

    @cached_property
    def width(self) -> int:
        """D; ``problems`` says where there is none."""
        first = next(place for place in range(len(self.keys)) if place not in self.absent)
        return len(self._vector(first))

    def problems(self) -> list[str]:
        """That no utterance has a row, with the first reasons; empty where one has."""
        if len(self.absent) < len(self.keys):
            return []
        reasons = "\n".join(f"  {line}" for line in first_lines(self.reasons(), MISSING_NAMED, "utterance"))
        return [f"{self.modality}: one utterance at least must have features, none has; nothing is written:\n{reasons}"]

    def of(self, conversation: Conversation) -> tuple[Matrix, NDArray[np.bool_] | None]:
        """See ``Rows``; ExtractionError where a row has another width than the first one."""
        begin = self.table.places[conversation.dialogue_id]
        places = range(begin, begin + len(conversation))
        present = np.array([place not in self.absent for place in places])
        matrix = np.zeros((len(places), self.width), dtype=np.float32)
        for number in np.flatnonzero(present):
            row = self._vector(places[number])
            if len(row) != self.width:
                raise ExtractionError(
                    f"{self.modality}: all rows must be {self.width} wide as the first one, that of "
                    f"{self.table.names[places[number]]} is {len(row)} wide: the extractor has changed without a new "
                    f"identity; delete {self.folder} and extract again"
                )
            matrix[number] = row
        return matrix, None if present.all() else present

    def reasons(self) -> list[str]:
        """A line for each utterance without a row."""
        return [f"{self.table.names[place]}: {reason}" for place, reason in self.absent.items()]

    def facts(self) -> dict[str, object]:
        """For the provenance: the width, and what is missing."""
        names = [self.table.names[place].removeprefix("dialogue ") for place in list(self.absent)[:MISSING_NAMED]]
        count = quantity(len(self.absent), "utterance")
        missing = {"missing": f"{count} without features, such as {', '.join(names)}"} if names else {}
        return {"width": self.width, **missing}

    def _vector(self, place: int) -> NDArray[np.float32]:
        row = self.row(place)
        if isinstance(row, Unreadable):
            raise KeyError(place)
        return row


def first_lines(lines: Sequence[str], count: int, noun: str) -> Iterator[str]:
    """The first of some lines, and one for how many more there are of what the noun names."""
    yield from lines[:count]
    if (rest := len(lines) - count) > 0:
        yield f"and {quantity(rest, f'more {noun}')}"
