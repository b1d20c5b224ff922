"""What a person or a log sees of a run while it goes on; the command line brings the ways of showing it."""

from __future__ import annotations

from typing import Protocol

from dclf.config import Config
from dclf.training.reports import EpochReport, FinalReport

TEST_IS_WATCHED = (
    "warning: train.protocol paper looks at the test split after every epoch; epochs are still chosen on validation, "
    "and the sealed test scores are the ones to report"
)


class View(Protocol):
    """Hears of the stages of a run, in order."""

    def started(self, config: Config, plan_lines: list[str], run_name: str, run_id: str) -> None:
        """The layout is accepted and the run recorded; training starts."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is finished."""

    def restarted(self, count: int) -> None:
        """A worker was lost; training goes on from the last epoch, for the ``count``-th time."""

    def finished(self, final: FinalReport) -> None:
        """The best model is scored."""

    def note(self, text: str) -> None:
        """Something the user should know."""


class NoView:
    """Shows nothing."""

    def started(self, config: Config, plan_lines: list[str], run_name: str, run_id: str) -> None:
        """Show nothing."""

    def epoch(self, report: EpochReport) -> None:
        """Show nothing."""

    def restarted(self, count: int) -> None:
        """Show nothing."""

    def finished(self, final: FinalReport) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""
