"""What a training run says while it goes on and when it ends: plain data that crosses process borders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

ROBUST_SCORES = ("eccs/wf1", "eics/wf1", "shift/wf1")
"""Names of ``EpochReport.robust``."""


def class_names(scores: Mapping[str, float]) -> list[str]:
    """The classes in their order, that of the scores ``f1/<class>``."""
    return [key.removeprefix("f1/") for key in scores if key.startswith("f1/")]


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
        seconds: wall-clock time of the epoch, scoring included.
        ended: when it ended, in seconds since 1970, UTC; 0 in what earlier versions kept.
        peeked: scores on the test split after this epoch, under ``train.protocol: paper`` only; not for reporting.
        robust: of the best epoch's model so far on the validation split, in [0, 1]: ``eccs/wf1`` and ``eics/wf1`` with
            substituted contexts, ``shift/wf1`` on emotion shifts; empty after epochs at which ``train.perturb_every``
            asks for none.
        confusion: [C][C] counts on the validation split, rows are true classes; empty in what earlier versions kept.
        machine: what was used of the first worker's machine, as ``dclf.training.machine`` tells it; empty without
            ``track.system_metrics``.
    """

    epoch: int
    epochs: int
    losses: Mapping[str, float]
    validation: Mapping[str, float]
    best_epoch: int
    best_wf1: float
    seconds: float
    ended: float = 0.0
    peeked: Mapping[str, float] = field(default_factory=dict)
    robust: Mapping[str, float] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    machine: Mapping[str, float] = field(default_factory=dict)

    @property
    def class_names(self) -> list[str]:
        """Emotion of each class index, as the scores have them."""
        return class_names(self.validation)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and numbers, ready for JSON."""
        # Every checkpoint has all epochs, and ``asdict`` takes them apart value by value.
        scores = ("losses", "validation", "peeked", "robust", "machine")
        return {**vars(self), **{name: dict(getattr(self, name)) for name in scores}}


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
class Optimism:
    """What selecting the epoch on the test split would have pretended (``train.protocol: paper``).

    Attributes:
        epoch: the one with the best test WF1; of equal ones the first.
        scores: its model's on test, in [0, 1].
        sealed_wf1: test WF1 of the epoch that was selected on validation, the one to report.
    """

    epoch: int
    scores: Mapping[str, float]
    sealed_wf1: float

    @property
    def gap(self) -> float:
        """How much better the test-selected WF1 looks than the sealed one, in percentage points."""
        return 100 * (self.scores["wf1"] - self.sealed_wf1)


def optimism(history: Sequence[EpochReport], sealed_wf1: float) -> Optimism | None:
    """What selecting on test would have pretended; None where no epoch looked at test.

    Args:
        history: one report per epoch.
        sealed_wf1: test WF1 of the epoch selected on validation, in [0, 1].
    """
    looked = [report for report in history if report.peeked]
    if not looked:
        return None
    best = max(looked, key=lambda report: report.peeked["wf1"])
    return Optimism(epoch=best.epoch, scores=best.peeked, sealed_wf1=sealed_wf1)


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

    @property
    def optimism(self) -> Optimism | None:
        """What selecting on test would have pretended; None where no epoch looked at test, or test was not scored."""
        sealed = self.splits.get("test")
        return None if sealed is None else optimism(self.history, sealed.scores["wf1"])

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
