"""Dialogues in memory as flat arrays, utterances laid end to end.

D  dialogues        T  utterances of all of them        D_m  raw width of modality m
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import Dialogue
from dclf.data.errors import MissingModalityError
from dclf.data.index import DialogueIndex
from dclf.data.whole_numbers import whole_numbers


class Labelled(Protocol):
    """What a substitution needs to know of dialogues; ``DialogueIndex`` and ``Conversations`` both say it."""

    @property
    def dialogue_ids(self) -> tuple[str, ...]:
        """D ids."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[D], utterances per dialogue."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """[D], first row of each dialogue in the flat arrays."""

    @property
    def labels(self) -> NDArray[np.int32]:
        """[T], emotion of every utterance, -1 where there is none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversations:
    """Dialogues with their features.

    Attributes:
        dialogue_ids: D ids.
        lengths: int64 [D], utterances per dialogue.
        labels: int32 [T], -1 where there is none.
        speakers: int32 [T].
        features: modality -> float32 [T, D_m], raw (not standardised).
        present: modality -> bool [T], false where an utterance has no features in it; complete modalities are not
            named.
    """

    dialogue_ids: tuple[str, ...]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int32]
    speakers: NDArray[np.int32]
    features: Mapping[str, NDArray[np.float32]]
    present: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, dialogues: Iterable[Dialogue], modalities: Sequence[str], index: DialogueIndex | None = None
    ) -> Conversations:
        """Copy dialogues into flat arrays.

        Args:
            dialogues: at least one; a split of a ``ShardSet`` already comes in the order of its index.
            modalities: which features to keep.
            index: whose order to take, where the dialogues come in another one.

        Raises:
            ValueError: no dialogue, one that the index does not hold, or labels or speakers that are no whole numbers.
            MissingModalityError: a dialogue lacks one of the modalities.
        """
        ordered = list(dialogues)
        if not ordered:
            raise ValueError("conversations need at least one dialogue, got none; check the split")
        _check(ordered, modalities, index)
        if index is not None:
            ordered.sort(key=lambda dialogue: index.position(dialogue.dialogue_id))
        return cls(
            dialogue_ids=tuple(dialogue.dialogue_id for dialogue in ordered),
            lengths=np.array([len(dialogue) for dialogue in ordered], dtype=np.int64),
            labels=np.concatenate([_row(dialogue, "label", dialogue.labels) for dialogue in ordered]),
            speakers=np.concatenate([_row(dialogue, "speaker", dialogue.speakers) for dialogue in ordered]),
            features={
                m: np.concatenate([dialogue.features[m] for dialogue in ordered], dtype=np.float32) for m in modalities
            },
            present=_present(ordered, modalities),
        )

    def __len__(self) -> int:
        return len(self.dialogue_ids)

    def only(self, modalities: Sequence[str]) -> Conversations:
        """The same dialogues with these modalities alone, all of them present; nothing is copied."""
        present = {m: self.present[m] for m in modalities if m in self.present}
        return replace(self, features={m: self.features[m] for m in modalities}, present=present)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """int64 [D], first row of each dialogue in the flat arrays."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def dialogue_of(self) -> NDArray[np.int64]:
        """int64 [T], number of each row's dialogue."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def time(self) -> NDArray[np.int64]:
        """int64 [T], position of each row within its dialogue, from 0."""
        return np.arange(len(self.labels)) - self.offsets[self.dialogue_of]


def fingerprint(dialogues: Labelled) -> str:
    """16 hexadecimal digits that differ where ids, lengths, labels or their order do."""
    digest = sha256()
    for name, length in zip(dialogues.dialogue_ids, dialogues.lengths, strict=True):
        encoded = name.encode()
        digest.update(f"{len(encoded)} {length} ".encode() + encoded)
    digest.update(np.asarray(dialogues.labels).astype("<i4").tobytes())
    return digest.hexdigest()[:16]


def spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, .. start + length - 1 of every pair [B], one span after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def _present(dialogues: Sequence[Dialogue], modalities: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    partial = [m for m in modalities if any(m in dialogue.present for dialogue in dialogues)]
    return {m: np.concatenate([d.present.get(m, np.ones(len(d), np.bool_)) for d in dialogues]) for m in partial}


def _row(dialogue: Dialogue, what: str, values: NDArray[np.int32]) -> NDArray[np.int32]:
    return whole_numbers(values, f"dialogue {dialogue.dialogue_id}: {what}")


def _check(dialogues: Sequence[Dialogue], modalities: Sequence[str], index: DialogueIndex | None) -> None:
    for dialogue in dialogues:
        lacking = [m for m in modalities if m not in dialogue.features]
        if lacking:
            raise MissingModalityError(
                f"dialogue {dialogue.dialogue_id} must have the features of {', '.join(modalities)}, lacks "
                f"{', '.join(lacking)}: read it with them"
            )
        if index is not None and dialogue.dialogue_id not in index:
            raise ValueError(f"dialogue {dialogue.dialogue_id} is not in the index: take the index of the same split")
