"""Where a study stands, from what its views hear: counts, the best trial, running ones, time spent and left."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dclf.training.reports import EpochReport
from tune.config.durations import parse_duration
from tune.config.sweep_settings import SweepSettings
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, State, TrialRecord
from tune.study.scores import Score, scores_of, short_names, value_text

RECENT = 4
"""Ended trials that a live view lists."""
REMEMBERED = 30
"""Ended trials whose durations tell how long the next ones take."""


@dataclass
class Running:
    """A trial that trains now.

    Attributes:
        trial: as the ledger has it.
        since: when it started here, on the state's clock.
        seed: of the training that reported last.
        report: its last epoch; None before the first.
    """

    trial: TrialRecord
    since: float
    seed: int = 0
    report: EpochReport | None = None


class StudyState:
    """Grows by what happens; memory does not grow with trials but for one word each.

    Args:
        now: seconds, monotonic.

    Attributes:
        name: of the study, empty until it has started.
        run_id: MLflow's id of the parent run.
        settings: of the study.
        scores: its objectives, the ranking one first.
        counts: state -> trials.
        best: the complete trial with the best first objective; None in a comparison, which chooses none.
        running: number -> running trial.
        recent: the trials that ended last, the latest first.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun = now()
        self._states: dict[int, State] = {}
        self._durations: deque[float] = deque(maxlen=REMEMBERED)
        self._most_running = 1
        self._until = math.inf
        self.name = ""
        self.run_id = ""
        self.settings = SweepSettings()
        self.scores: tuple[Score, ...] = (Score(name="wf1"),)
        self.counts: Counter[State] = Counter()
        self.best: TrialRecord | None = None
        self.running: dict[int, Running] = {}
        self.recent: deque[TrialRecord] = deque(maxlen=RECENT)

    def started(self, folder: StudyFolder, run_id: str) -> None:
        """Take over what earlier drivers left; trials that ran with them wait to be taken up again."""
        self.name, self.run_id = folder.definition.name, run_id
        self.settings, self.scores = folder.definition.sweep, scores_of(folder.definition)
        if self.settings.time:
            self._until = self._now() + parse_duration(self.settings.time) - folder.ledger.worked_s
        for trial in sorted(folder.ledger.trials.values(), key=lambda trial: trial.ended or 0.0):
            self._note(trial, "waiting" if trial.state == "running" else trial.state)
            if trial.started is not None and trial.ended is not None:
                self._durations.append(trial.worked_s)

    def trial(self, trial: TrialRecord) -> None:
        """A trial was created, started or ended."""
        if trial.state == "running":
            self.running.setdefault(trial.number, Running(trial, self._now())).trial = trial
            self._most_running = max(self._most_running, len(self.running))
        elif (ended := self.running.pop(trial.number, None)) is not None and trial.state in ENDED:
            self._durations.append(self._now() - ended.since)
        self._note(trial, trial.state)

    def epoch(self, number: int, seed: int, report: EpochReport) -> None:
        """A trial has finished an epoch."""
        if (running := self.running.get(number)) is not None:
            running.seed, running.report = seed, report

    def _note(self, trial: TrialRecord, state: State) -> None:
        before = self._states.get(trial.number)
        if before is not None:
            self.counts[before] -= 1
        self._states[trial.number] = state
        self.counts[state] += 1
        if state in ENDED and before != state:
            self.recent.appendleft(trial)
        if state == "complete" and self._better(trial):
            self.best = trial

    def _better(self, trial: TrialRecord) -> bool:
        if self.compares or not trial.values or math.isnan(trial.values[0]):
            return False
        rank = self.scores[0].rank
        return self.best is None or rank(trial.values[0]) < rank(self.best.values[0])

    @property
    def compares(self) -> bool:
        """Whether every variant is reported, and none chosen."""
        return self.settings.test == "all"

    @property
    def ended(self) -> int:
        """Trials that have ended, whichever way."""
        return sum(self.counts[state] for state in ENDED)

    @property
    def planned(self) -> int:
        """Trials in all; 0 where only time bounds them."""
        return self.settings.trials

    @property
    def waiting(self) -> int:
        """Trials that are still to start."""
        return max(self.planned - self.ended - len(self.running), 0) if self.planned else self.counts["waiting"]

    @property
    def spent(self) -> float:
        """Seconds since this driver began."""
        return self._now() - self._begun

    @property
    def left(self) -> float | None:
        """Seconds until all trials have ended; None while nothing tells."""
        each = self._seconds_each()
        if each is None:
            return None
        rest = [max(each - (self._now() - trial.since), 0.0) for trial in self.running.values()]
        last = max(rest, default=0.0)
        # Trials that run when the time is up are finished.
        by_time = max(self._until - self._now(), last)
        by_trials = max((self.waiting * each + sum(rest)) / self._most_running, last) if self.planned else math.inf
        left = min(by_time, by_trials)
        return left if left < math.inf else None

    def _seconds_each(self) -> float | None:
        """A trial's duration: of those that ended, else as its epochs so far promise."""
        if self._durations:
            return sum(self._durations) / len(self._durations)
        reports = [trial.report for trial in self.running.values() if trial.report is not None]
        promised = [report.seconds * report.epochs * self.settings.seeds for report in reports]
        return sum(promised) / len(promised) if promised else None


def counts_text(state: StudyState) -> str:
    """``33 complete, 4 running, 2 pruned, 0 failed, 11 waiting``."""
    counts = state.counts
    parts = [f"{counts['complete']} complete", f"{len(state.running)} running", f"{counts['pruned']} pruned"]
    return ", ".join([*parts, f"{counts['failed']} failed", f"{state.waiting} waiting"])


def progress_text(state: StudyState) -> str:
    """``37 of 50 trials``, or without a number planned ``37 trials``."""
    return f"{state.ended} of {state.planned} trials" if state.planned else f"{state.ended} trials"


def budget_text(settings: SweepSettings) -> str:
    """``50 trials``, ``12h`` or ``50 trials within 12h``."""
    trials = f"{settings.trials} trials" if settings.trials else ""
    return " within ".join(part for part in (trials, settings.time) if part)


def values_text(scores: tuple[Score, ...], values: tuple[float, ...]) -> str:
    """A trial's objectives, the first one bare: ``68.42`` or ``68.42, f1/sad 61.20``; a dash for none."""
    if not values:
        return "–"
    first, *others = [score.number(value) for score, value in zip(scores, values, strict=False)]
    return ", ".join([first, *(f"{score.name} {text}" for score, text in zip(scores[1:], others, strict=False))])


def params_text(params: Mapping[str, Any]) -> str:
    """``gamma_ca 0.61  window 4``: keys as short as they are clear; ``as configured`` for none."""
    names = short_names(list(params))
    return "  ".join(f"{names[key]} {value_text(value)}" for key, value in params.items()) or "as configured"
