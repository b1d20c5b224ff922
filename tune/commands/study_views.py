"""What a study shows while it goes on: plain lines, JSON lines, or nothing. ``study_views_live`` has the moving view.

As with the views of a single run (``tune.commands.views``), results are printed by the command on stdout; these
views write to stderr, save for JSON lines, which are made to be piped.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TextIO

from dclf.training.reports import EpochReport
from tune.commands.options import counted
from tune.commands.study_views_state import (
    StudyState,
    budget_text,
    counts_text,
    params_text,
    progress_text,
    values_text,
)
from tune.commands.view_forms import JsonLines, Lines, Quiet
from tune.commands.views import duration
from tune.runner.view import NoStudyView
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, TrialRecord


class QuietStudyView(Quiet, NoStudyView):
    """Says nothing; also the ground on which the other views stand.

    Attributes:
        folder: the study's, None until it has started.
    """

    folder: StudyFolder | None = None

    def started(self, folder: StudyFolder, plan_lines: list[str], run_id: str) -> None:  # noqa: ARG002
        """Remember the study."""
        self.folder = folder


class PlainStudyView(Lines, QuietStudyView):
    """A line per trial that ends, for terminals that cannot redraw and for log files."""

    def __init__(self, stream: TextIO | None = None, state: StudyState | None = None) -> None:
        super().__init__(stream)
        self._state = state or StudyState()

    def started(self, folder: StudyFolder, plan_lines: list[str], run_id: str) -> None:
        """Name the study, print its plan, and what is done already."""
        super().started(folder, plan_lines, run_id)
        self._state.started(folder, run_id)
        self._say(headline(folder, run_id), *plan_lines)
        if folder.ledger.trials:
            self._say(f"so far: {counts_text(self._state)}")

    def trial(self, trial: TrialRecord) -> None:
        """How the trial ended, the best so far, and the time left."""
        self._state.trial(trial)
        if trial.state in ENDED:
            self._say("  ".join(self._parts(trial)))

    def _parts(self, trial: TrialRecord) -> list[str]:
        state = self._state
        parts = [f"trial {trial.number} {trial.state}  {values_text(state.scores, trial.values)}"]
        if trial.reason:
            parts.append(f"({trial.reason})")
        if state.best is not None:
            parts.append(f"best {state.scores[0].number(state.best.values[0])} (trial {state.best.number})")
        parts.append(progress_text(state))
        if state.left is not None:
            parts.append(f"left {duration(state.left)}")
        return [*parts, params_text(trial.params)]

    def epoch(self, number: int, seed: int, report: EpochReport) -> None:
        """Reckon with it."""
        self._state.epoch(number, seed, report)

    def finished(self, folder: StudyFolder) -> None:  # noqa: ARG002
        """Print what the trials came to."""
        self._say(f"{counts_text(self._state)}; took {duration(self._state.spent)}")


class JsonLinesStudyView(JsonLines, QuietStudyView):
    """One JSON object per event, each with the key ``event``: started, trial, epoch, note, finished or failed."""

    def started(self, folder: StudyFolder, plan_lines: list[str], run_id: str) -> None:
        """Write what was asked for, the plan, and how many trials there are already."""
        super().started(folder, plan_lines, run_id)
        definition = folder.definition
        self._write(
            "started",
            study=definition.name,
            run_id=run_id,
            folder=str(folder.path),
            plan=plan_lines,
            settings=definition.settings,
            space=definition.space,
            trials=len(folder.ledger.trials),
        )

    def trial(self, trial: TrialRecord) -> None:
        """Write the trial as it stands."""
        self._write("trial", **asdict(trial))

    def epoch(self, number: int, seed: int, report: EpochReport) -> None:
        """Write the report."""
        self._write("epoch", trial=number, seed=seed, **report.to_dict())

    def finished(self, folder: StudyFolder) -> None:
        """Write the name; the command's result follows."""
        self._write("finished", study=folder.definition.name)


def headline(folder: StudyFolder, run_id: str) -> str:
    """What is searched, how, on what, as which run."""
    definition = folder.definition
    settings, config = definition.sweep, definition.base
    models = ", ".join(dict.fromkeys(variant["model"] for variant in definition.variants)) or config.model.name
    end = f"{models} on {config.data.shards}, run {run_id}"
    if settings.test == "all":
        seeds = f" with {counted(settings.seeds, 'seed')} each" if settings.seeds > 1 else ""
        return f"study {definition.name}: {counted(settings.trials, 'variant')}{seeds}, {end}"
    scheduler = "" if settings.scheduler == "none" else f" and {settings.scheduler}"
    search = f"{budget_text(settings)} by {settings.sampler}{scheduler}".strip()
    return f"study {definition.name}: {search}, {end}"
