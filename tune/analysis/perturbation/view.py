"""What a person or a log sees of a perturbation test while it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class PerturbationView(Protocol):
    """Hears of the stages of a test, in order."""

    def started(self, title: str, lines: Sequence[str], total: int) -> None:
        """The work is laid out; ``total`` conditions will be scored, the raw one of each model among them."""

    def scored(self, name: str, wf1: float) -> None:
        """A condition, such as ``trial 0, seed 1: eics, draw 2 of 5``, has this WF1 (0 to 1)."""


class NoPerturbationView:
    """Shows nothing."""

    def started(self, title: str, lines: Sequence[str], total: int) -> None:
        """Show nothing."""

    def scored(self, name: str, wf1: float) -> None:
        """Show nothing."""
