"""What hears of a run while it goes on: the interface that training sees, and the default that records nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from dclf.config import Config
from dclf.training.reports import EpochReport, FinalReport


class Tracker(Protocol):
    """Hears what happens to a run."""

    run_id: str

    def start(self, config: Config, card: Mapping[str, Any] | None, resume_run_id: str | None = None) -> None:
        """The run begins, or goes on."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is finished."""

    def checkpoint(self, uri: str) -> None:
        """The run can be resumed from here."""

    def finish(self, final: FinalReport, model_folder: Path | None = None) -> None:
        """The run is complete; ``model_folder`` holds the best model."""

    def fail(self, error: BaseException) -> None:
        """The run ends with an error."""

    def kill(self, reason: str) -> None:
        """The run was stopped from outside."""


class NoTracker:
    """Records nothing."""

    run_id = ""

    def start(self, config: Config, card: Mapping[str, Any] | None, resume_run_id: str | None = None) -> None:
        """Do nothing."""

    def epoch(self, report: EpochReport) -> None:
        """Do nothing."""

    def checkpoint(self, uri: str) -> None:
        """Do nothing."""

    def finish(self, final: FinalReport, model_folder: Path | None = None) -> None:
        """Do nothing."""

    def fail(self, error: BaseException) -> None:
        """Do nothing."""

    def kill(self, reason: str) -> None:
        """Do nothing."""
