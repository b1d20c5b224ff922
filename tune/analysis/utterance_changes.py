"""Utterances of which models say different things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tune.analysis.prediction_results import SPEAKER, WORDS, cut
from tune.analysis.table import Table

Key = tuple[str, int]
"""Id of a dialogue, and the utterance's place in it from 0 on, as in every file of predictions."""


@dataclass(frozen=True, kw_only=True)
class LabelledUtterance:
    """An utterance of shards.

    Attributes:
        speaker: its number.
        text: the words; empty where the shards have none.
        target: its emotion.
    """

    speaker: str
    text: str
    target: str


@dataclass(frozen=True, kw_only=True)
class UtteranceChange:
    """An utterance of which not all models say the same.

    Attributes:
        dialogue: id of its dialogue.
        place: in the dialogue, from 0 on.
        utterance: what was said, and its emotion.
        emotions: of each model.
    """

    dialogue: str
    place: int
    utterance: LabelledUtterance
    emotions: tuple[str, ...]

    def to_dict(self, labels: Sequence[str]) -> dict[str, Any]:
        """As JSON has it, predictions by the label of the side."""
        return {
            "dialogue": self.dialogue,
            "utterance": self.place,
            "speaker": self.utterance.speaker,
            "text": self.utterance.text,
            "target": self.utterance.target,
            "predictions": dict(zip(labels, self.emotions, strict=True)),
        }


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What several models say of the utterances of a split.

    Attributes:
        split: its name.
        total: utterances that all of them have predicted, and whose emotion is known.
        right: how many of these each model gets right.
        utterances: those of which not all say the same, in the order of the data.
    """

    split: str
    total: int
    right: tuple[int, ...]
    utterances: tuple[UtteranceChange, ...]

    @property
    def traded(self) -> tuple[int, int]:
        """Of two models, how many utterances the second alone gets right, and the first alone."""
        pairs = [(one.emotions, one.utterance.target) for one in self.utterances]
        second = sum(emotions[1] == target for emotions, target in pairs)
        return second, sum(emotions[0] == target for emotions, target in pairs)

    def sentence(self, labels: Sequence[str]) -> str:
        """How many changed, and to whose good."""
        text = f"{len(self.utterances)} of {self.total} utterances of {self.split} are predicted differently"
        if len(labels) != 2:
            right = ", ".join(f"{label} {count}" for label, count in zip(labels, self.right, strict=True))
            return f"{text}; right: {right}"
        second, first = self.traded
        other = len(self.utterances) - second - first
        return f"{text}: {second} only {labels[1]} gets right, {first} only {labels[0]}, {other} neither"

    def table(self, labels: Sequence[str], longest: int) -> Table:
        """The first of them, at most ``longest``."""
        rows = tuple(
            (
                cut(one.dialogue, SPEAKER),
                str(one.place),
                cut(one.utterance.speaker, SPEAKER),
                cut(one.utterance.text, WORDS),
                one.utterance.target,
                *one.emotions,
            )
            for one in self.utterances[:longest]
        )
        head = ("dialogue", "utterance", "speaker", "words", "target", *labels)
        return Table(title=self.sentence(labels), head=head, rows=rows, numeric=len(head))


def changes(
    split: str, utterances: Mapping[Key, LabelledUtterance], predictions: Sequence[Mapping[Key, str]]
) -> Changes:
    """Compare what models say of the same utterances.

    Args:
        split: that they are from.
        utterances: with a known emotion, in the order of the data.
        predictions: of each model, the emotion of an utterance; utterances that not all have are left out.
    """
    shared = [key for key in utterances if all(key in one for one in predictions)]
    emotions = {key: tuple(one[key] for one in predictions) for key in shared}
    targets = {key: utterances[key].target for key in shared}
    different = [
        UtteranceChange(dialogue=key[0], place=key[1], utterance=utterances[key], emotions=emotions[key])
        for key in shared
        if len(set(emotions[key])) > 1
    ]
    right = tuple(sum(emotions[key][place] == targets[key] for key in shared) for place in range(len(predictions)))
    return Changes(split=split, total=len(shared), right=right, utterances=tuple(different))
