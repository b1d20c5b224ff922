"""Where the training loop gets its dialogues and whom it tells how it goes.

The loop itself knows neither files nor Ray: in process it reads shards directly, on a Ray Train worker the same or a
Ray Data stream, in a trial what the trial kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from dclf.data.dialogue import Dialogue
from dclf.training.reports import EpochReport


class Source(Protocol):
    """A worker's view of the data."""

    def dialogues(self, split: str) -> Iterator[Dialogue]:
        """This worker's share of a split, in the same order every time it is asked; may be empty, may stream."""


class Reporter(Protocol):
    """Hears of every finished epoch."""

    def epoch(self, report: EpochReport, state: dict[str, Any]) -> None:
        """Take note of an epoch.

        Called by every worker at the same point.

        Args:
            report: the same on every worker.
            state: what ``dclf.training.checkpoint`` saves; complete on rank 0, empty on the others.
        """


class Silent:
    """The default reporter: keeps nothing, says nothing."""

    def epoch(self, report: EpochReport, state: dict[str, Any]) -> None:
        """Do nothing."""
