"""What every extractor keeps to, whatever it reads: words, sound or pictures.

D    width of an extractor's rows

Settings are what the user asked for: small, importable without torch, JSON-ready. ``resolve`` adds what tells the
encoder from another under the same name, and ``load`` opens the extractor, in whatever process does the work. The
settings stand in the shards' provenance, so that a run's model can read raw utterances as its training data were read.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dclf.errors import UserError, WorkError

Vector = NDArray[np.float32]
BATCH_SIZES = {"text": 64, "recording": 8}
"""Utterances that an extractor gets at a time, by what it reads."""


class ExtractionError(UserError, ValueError):
    """Settings are impossible, an encoder cannot be opened or breaks its contract, or a package is missing."""


class ExtractionWorkError(WorkError, ExtractionError):
    """An extractor failed at work, or its processes were lost."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """What there is of one utterance before it has features.

    Attributes:
        text: the words; empty where there are none.
        recording: path of a sound or video file; empty where there is none.
        start: second of the recording at which it begins; at its beginning where None.
        end: second at which it ends; at the recording's end where None.
    """

    text: str = ""
    recording: str = ""
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Unreadable:
    """There is no row for an utterance; it becomes missing in the shards.

    Attributes:
        reason: a line for the user, such as ``there is no sound track``.
        lasting: whether it is a property of the content, and may be cached.
    """

    reason: str
    lasting: bool = True


Row = Vector | Unreadable


class Extractor(Protocol):
    """Turns utterances into rows; opened once in a process, used batch after batch."""

    @property
    def width(self) -> int:
        """D."""
        ...

    def rows(self, utterances: Sequence[Utterance]) -> list[Row]:
        """A float32 [D] for each utterance, or why there is none; one broken file never spoils the others.

        A row does not depend on the others of its batch, but for rounding.
        """
        ...


def check_rows(extractor: Extractor, rows: Sequence[Row], count: int) -> list[Row]:
    """The rows of an extractor, those with numbers that are not finite as unreadable.

    Args:
        extractor: that made them.
        rows: of the utterances that it was given.
        count: of these.

    Raises:
        ExtractionWorkError: there are more or fewer rows than utterances, or one is no float32 [D].
    """
    if len(rows) != count:
        raise ExtractionWorkError(
            f"the extractor must return a row for each of {count} utterances, returned {len(rows)}"
        )
    return [_row(row, extractor.width) for row in rows]


def _row(row: Row, width: int) -> Row:
    if isinstance(row, Unreadable):
        return row if row.reason else Unreadable("the extractor gave no reason", lasting=row.lasting)
    vector = np.asarray(row)
    if vector.shape != (width,) or vector.dtype != np.float32:
        raise ExtractionWorkError(
            f"the extractor's rows must be float32 [{width}], are {vector.dtype} {list(vector.shape)}"
        )
    return vector if np.isfinite(vector).all() else Unreadable("its row has numbers that are not finite", lasting=False)


@dataclass(frozen=True, kw_only=True)
class ExtractorSettings(ABC):
    """What an extractor is and does, as plain values.

    Where an encoder's files lie, on this machine or on a hub, is in a field ``model``; a field ``revision`` beside it
    is of the hub, and empty for a folder. Extractors whose package brings what computes have neither.

    Attributes:
        identity: hash of the encoder's files, or the version of the package that computes; empty before ``resolve``.
    """

    name: ClassVar[str]
    """Of the extractor, in ``facts``."""
    modality: ClassVar[str]
    reads: ClassVar[str]
    """``text`` or ``recording``: the part of an utterance that makes the row."""

    identity: str = ""

    @abstractmethod
    def problems(self) -> list[str]:
        """Everything that is impossible: values, files that are not there, packages that are not installed."""

    @abstractmethod
    def resolve(self) -> Self:
        """The same with ``identity``, and with paths absolute.

        Raises:
            ExtractionError: the encoder cannot be found.
        """

    @abstractmethod
    def load(self, device: str) -> Extractor:
        """Open the extractor.

        Args:
            device: as torch names it; those that compute on the CPU alone take no notice.

        Raises:
            ExtractionError: it cannot be opened, or it is not the encoder whose ``identity`` the settings have.
        """

    @property
    def place(self) -> str:
        """Where the encoder's files lie; empty where there are none."""
        return str(getattr(self, "model", ""))

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions that ``load`` imports, beside those that dclf needs."""
        return ()

    def located(self, place: str) -> Self:
        """The same encoder, whose files lie elsewhere now.

        Args:
            place: a folder, or whatever else ``model`` may be.

        Raises:
            ExtractionError: there is no encoder, or one of another ``identity``.
        """
        if not self.place:
            raise ExtractionError(
                f"the extractor {self.name} reads no encoder's files, is told that they lie in {place}"
            )
        values = {"model": place, "revision": "", "identity": ""}
        fresh = {field.name: values[field.name] for field in fields(self) if field.name in values}
        moved = replace(self, **fresh).resolve()
        if moved.identity != self.identity:
            raise ExtractionError(
                f"the encoder in {place} must be the one that made the shards' rows, whose identity is {self.identity};"
                f" is {moved.identity}, whose rows mean something else to the model"
            )
        return moved

    def facts(self) -> dict[str, Any]:
        """JSON-ready: everything that ``settings_of`` needs."""
        return {"extractor": self.name, **asdict(self)}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """The settings that ``facts`` describes; ExtractionError where keys are unknown."""
        values = {key: value for key, value in facts.items() if key != "extractor"}
        if unknown := values.keys() - {field.name for field in fields(cls)}:
            raise ExtractionError(f"the extractor {cls.name} has no {', '.join(sorted(unknown))}")
        return cls(**values)

    def fingerprint(self) -> str:
        """Of resolved settings: a hash of all that a row depends on beside the utterance. Rows are cached under it.

        Where an encoder lies is none of it, so that subclasses leave paths out.
        """
        text = json.dumps(self.facts(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
