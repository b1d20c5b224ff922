"""Progress where Python is interactive, in a notebook or at a prompt: a line per epoch, trial or condition.

The command line brings views of its own (``tune.commands``). A program that calls ``tune`` hears nothing, unless it
gives a view.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dclf.config import Config
from dclf.training.reports import EpochReport
from tune.analysis.perturbation.view import NoPerturbationView, PerturbationView
from tune.runner.view import NoStudyView, StudyView
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, TrialRecord
from tune.study.progress import progress_of
from tune.study.scores import WF1, scores_of, short_names, value_text
from tune.view import NoView, View


def is_interactive() -> bool:
    """Whether there is a prompt; IPython and with it every notebook sets one too."""
    return hasattr(sys, "ps1")


def run_view() -> View:
    """The view of a training to which none was given."""
    return RunLines() if is_interactive() else NoView()


def study_view() -> StudyView:
    """The view of a study to which none was given."""
    return StudyLines() if is_interactive() else NoStudyView()


def perturbation_view() -> PerturbationView:
    """The view of a perturbation test to which none was given."""
    return PerturbationLines() if is_interactive() else NoPerturbationView()


class RunLines(NoView):
    """A line per epoch."""

    def started(self, config: Config, plan_lines: list[str], run_name: str, run_id: str) -> None:
        """Name the run and print its plan."""
        _say(f"{config.model.name} on {config.data.shards}, run {run_name} ({run_id})", *plan_lines)

    def epoch(self, report: EpochReport) -> None:
        """Loss and validation of the epoch."""
        _say(
            f"epoch {report.epoch}/{report.epochs}  loss {report.losses['total']:.3f}  val WF1 "
            f"{WF1.number(report.validation['wf1'])}  best {WF1.number(report.best_wf1)} (epoch {report.best_epoch})"
        )

    def restarted(self, count: int) -> None:
        """Say that training goes on from the last epoch."""
        _say(f"a worker was lost: training goes on from the last epoch (restart {count})")

    def note(self, text: str) -> None:
        """Print the note."""
        _say(text)


class StudyLines(NoStudyView):
    """A line per trial that ends."""

    def __init__(self) -> None:
        self._folder: StudyFolder | None = None

    def started(self, folder: StudyFolder, plan_lines: list[str], run_id: str) -> None:
        """Name the study and print its plan."""
        self._folder = folder
        _say(f"study {folder.definition.name}, run {run_id}", *plan_lines)

    def trial(self, trial: TrialRecord) -> None:
        """How the trial ended, with its values and parameters."""
        if trial.state not in ENDED or self._folder is None:
            return
        scores, names = scores_of(self._folder.definition), short_names(list(trial.params))
        values = [f"{score.name} {score.number(value)}" for score, value in zip(scores, trial.values, strict=False)]
        params = [f"{names[key]} {value_text(value)}" for key, value in trial.params.items()]
        reason = [f"({trial.reason})"] if trial.reason else []
        _say("  ".join([f"trial {trial.number} {trial.state}", *values, *reason, *params]))

    def note(self, text: str) -> None:
        """Print the note."""
        _say(text)

    def finished(self, folder: StudyFolder) -> None:
        """How many trials there are."""
        _say(f"study {folder.definition.name}: {progress_of(folder).text}")


class PerturbationLines(NoPerturbationView):
    """A line per condition."""

    def __init__(self) -> None:
        self._done, self._total = 0, 0

    def started(self, title: str, lines: Sequence[str], total: int) -> None:
        """Name model, data and run."""
        self._total = total
        _say(title, *lines)

    def scored(self, name: str, wf1: float) -> None:
        """The condition and its WF1."""
        self._done += 1
        _say(f"{self._done}/{self._total}  {name}  WF1 {WF1.number(wf1)}")


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)
