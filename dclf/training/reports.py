"""What a training run says while it goes on and when it ends: plain data that crosses process borders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """One finished epoch.

    Attributes:
        epoch: 1 .. epochs.
        epochs: how many were asked for.
        losses: mean of each loss term over its counted anchors: ``total``, ``ce`` and, where they are part of the
            loss, ``ca``, ``mc`` and ``unimodal``.
        validation: scores on the validation split as ``dclf.metrics.classification_scores`` gives them, in [0, 1].
        best_epoch: the epoch with the best validation WF1 so far.
        best_wf1: that WF1.
        seconds: wall-clock time of the epoch, validation included.
    """

    epoch: int
    epochs: int
    losses: Mapping[str, float]
    validation: Mapping[str, float]
    best_epoch: int
    best_wf1: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and numbers, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """The best model's result on one split.

    Attributes:
        split: ``val`` or ``test``.
        scores: as ``dclf.metrics.classification_scores`` and ``shift_scores`` give them, in [0, 1].
        confusion: [C][C] counts, rows are true classes.
        utterances: how many were scored.
    """

    split: str
    scores: Mapping[str, float]
    confusion: list[list[int]]
    utterances: int


@dataclass(frozen=True, kw_only=True)
class FinalReport:
    """A finished run: its history and the best model's scores, test scored once.

    Attributes:
        class_names: emotion of each class index.
        history: one report per epoch.
        splits: ``val`` and ``test`` results of the best epoch's model.
    """

    class_names: list[str]
    history: list[EpochReport]
    splits: dict[str, SplitReport] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and numbers, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FinalReport:
        """The inverse of ``to_dict``."""
        return cls(
            class_names=list(data["class_names"]),
            history=[EpochReport(**epoch) for epoch in data["history"]],
            splits={name: SplitReport(**split) for name, split in data["splits"].items()},
        )
