"""What a model says of conversations: per utterance the emotion and every class's probability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dclf.prose import printable, quantity
from tune.analysis.table import ShownAsTable, Table

if TYPE_CHECKING:
    import pandas as pd

WORDS, SPEAKER = 40, 16
"""Characters that a table shows of what was said and by whom."""
MOST_SHOWN = 10
"""Utterances in the table that stands for predictions."""
COLUMNS = ("speaker", "words", "emotion", "probability")


@dataclass(frozen=True, kw_only=True)
class PredictedUtterance:
    """One utterance.

    Attributes:
        speaker: a name or a number.
        text: the words; empty where there are none.
        emotion: the most probable class.
        probabilities: of every class.
    """

    speaker: str
    text: str
    emotion: str
    probabilities: Mapping[str, float]

    @classmethod
    def of(cls, speaker: str, text: str, row: NDArray[np.float32], class_names: Sequence[str]) -> PredictedUtterance:
        """From the probabilities [C]."""
        probabilities = dict(zip(class_names, map(float, row), strict=True))
        emotion = class_names[int(row.argmax())]
        return cls(speaker=speaker, text=text, emotion=emotion, probabilities=probabilities)

    @property
    def probability(self) -> float:
        """Of the emotion."""
        return self.probabilities[self.emotion]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "speaker": self.speaker,
            "text": self.text,
            "emotion": self.emotion,
            "probability": self.probability,
            "probabilities": dict(self.probabilities),
        }

    def cells(self) -> tuple[str, ...]:
        """A row of ``COLUMNS``."""
        return cut(self.speaker, SPEAKER), cut(self.text, WORDS), self.emotion, f"{self.probability:.3f}"


@dataclass(frozen=True, kw_only=True)
class PredictedConversation:
    """One conversation.

    Attributes:
        id: its name; a dialogue's id in shards.
        split: that shards have it in; empty elsewhere.
        utterances: in the order in which they were said.
    """

    id: str
    split: str
    utterances: tuple[PredictedUtterance, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        split = {"split": self.split} if self.split else {}
        return {"id": self.id, **split, "utterances": [one.to_dict() for one in self.utterances]}

    def table(self) -> Table:
        """A row per utterance."""
        split = f" ({self.split})" if self.split else ""
        rows = tuple(one.cells() for one in self.utterances)
        return Table(title=f"conversation {cut(self.id, WORDS)}{split}", head=COLUMNS, rows=rows, numeric=3)


@dataclass(frozen=True, kw_only=True, repr=False)
class Predictions(ShownAsTable):
    """What a run's model says of conversations.

    Attributes:
        run_id: MLflow's id of the run.
        name: of the run.
        class_names: the emotions.
        conversations: in the order of the source.
    """

    run_id: str
    name: str
    class_names: tuple[str, ...]
    conversations: tuple[PredictedConversation, ...]

    @property
    def title(self) -> str:
        """The run, and how much it was told."""
        utterances = sum(len(one.utterances) for one in self.conversations)
        counts = f"{quantity(utterances, 'utterance')} of {quantity(len(self.conversations), 'conversation')}"
        return f"run {self.name} ({self.run_id}): {counts}"

    def summary(self) -> Table:
        """The first utterances."""
        rows = [
            (cut(one.id, SPEAKER), *utterance.cells()) for one in self.conversations for utterance in one.utterances
        ]
        note = f"and {len(rows) - MOST_SHOWN} more, in conversations" if len(rows) > MOST_SHOWN else ""
        head = ("conversation", *COLUMNS)
        return Table(title=self.title, head=head, rows=tuple(rows[:MOST_SHOWN]), numeric=4, note=note)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "class_names": list(self.class_names),
            "conversations": [one.to_dict() for one in self.conversations],
        }

    def frame(self) -> pd.DataFrame:
        """A row per utterance: ``conversation``, ``speaker``, ``text``, ``emotion`` and ``probability/<class>``."""
        import pandas as pd  # noqa: PLC0415 - slow to import

        head = ["conversation", "speaker", "text", "emotion", *(f"probability/{name}" for name in self.class_names)]
        return pd.DataFrame(list(self._rows()), columns=head)

    def _rows(self) -> Iterator[tuple[str | float, ...]]:
        for conversation in self.conversations:
            for one in conversation.utterances:
                yield conversation.id, one.speaker, one.text, one.emotion, *one.probabilities.values()


def cut(text: str, longest: int) -> str:
    """Text on one line, without what would steer a terminal, cut short."""
    plain = printable(text)
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
