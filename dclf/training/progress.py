"""How far a run is, which epoch was best, and whether it should stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from dclf.training.reports import EpochReport


@dataclass(kw_only=True)
class Progress:
    """Early stopping on validation WF1.

    Attributes:
        epochs: how many are asked for.
        patience: epochs without improvement before stopping; 0 never stops early.
        whole_from: the first epoch that trains on all dialogues (see ``curriculum``); patience counts from there.
        epoch: finished epochs.
        best_epoch: the epoch with the best validation WF1; 0 before the first.
        best_wf1: that WF1.
        best_model: that epoch's state_dict, on the CPU.
        history: one report per finished epoch.
    """

    epochs: int
    patience: int = 0
    whole_from: int = 0
    epoch: int = 0
    best_epoch: int = 0
    best_wf1: float = -1.0
    best_model: dict[str, Tensor] = field(default_factory=dict)
    history: list[EpochReport] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience has run out."""
        waited = self.epoch - max(self.best_epoch, self.whole_from)
        return self.epoch >= self.epochs or (self.patience > 0 and waited >= self.patience)

    def record(self, epoch: int, wf1: float) -> bool:
        """Note a finished epoch; true when it is the best so far. Of equal epochs the earlier one stays."""
        self.epoch = epoch
        if wf1 <= self.best_wf1:
            return False
        self.best_epoch, self.best_wf1 = epoch, wf1
        return True

    def state(self) -> dict[str, Any]:
        """Tensors and plain containers, for the checkpoint."""
        return {
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_wf1": self.best_wf1,
            "best_model": self.best_model,
            "history": [report.to_dict() for report in self.history],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of ``state``; how many epochs are asked for stays."""
        self.epoch = state["epoch"]
        self.best_epoch = state["best_epoch"]
        self.best_wf1 = state["best_wf1"]
        self.best_model = state["best_model"]
        self.history = [EpochReport(**report) for report in state["history"]]
