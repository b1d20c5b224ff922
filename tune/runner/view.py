"""What a person or a log sees of a study while it goes on; the command line brings the ways of showing it."""

from __future__ import annotations

from typing import Protocol

from dclf.training.reports import EpochReport
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord


class StudyView(Protocol):
    """Hears of the stages of a study, all in the driver's thread but for notes."""

    def started(self, folder: StudyFolder, plan_lines: list[str], run_id: str) -> None:
        """The plan is accepted and the parent run (MLflow's id) open; ``folder.ledger`` holds earlier trials."""

    def trial(self, trial: TrialRecord) -> None:
        """A trial was created, started or ended."""

    def epoch(self, number: int, seed: int, report: EpochReport) -> None:
        """A trial has finished an epoch."""

    def note(self, text: str) -> None:
        """Something the user should know; may come from another thread."""

    def finished(self, folder: StudyFolder) -> None:
        """All trials have ended and the report is written."""


class NoStudyView:
    """Shows nothing."""

    def started(self, folder: StudyFolder, plan_lines: list[str], run_id: str) -> None:
        """Show nothing."""

    def trial(self, trial: TrialRecord) -> None:
        """Show nothing."""

    def epoch(self, number: int, seed: int, report: EpochReport) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def finished(self, folder: StudyFolder) -> None:
        """Show nothing."""
