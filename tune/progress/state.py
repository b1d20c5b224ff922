"""Where a run and a study stand, from their events: counts, the best trial, running ones, time spent and left."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dclf.training.reports import EpochReport
from tune.config.durations import parse_duration
from tune.config.sweep_settings import SweepSettings
from tune.study.events import Event, StudyStarted, TrialChanged, TrialEpoch
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, State, TrialRecord
from tune.study.ranking import pick_trial, with_trial
from tune.study.scores import Score, scores_of

RECENT = 4
"""Ended trials that the live panel lists."""
REMEMBERED = 30
"""Ended trials whose durations tell how long the next ones take."""


class Clock:
    """Estimates the time left from the epochs seen so far."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._remaining = 0

    def add(self, report: EpochReport) -> None:
        """Count an epoch."""
        self._seconds.append(report.seconds)
        self._remaining = report.epochs - report.epoch

    @property
    def seconds_left(self) -> float:
        """Seconds, from the mean of the last ten epochs."""
        recent = self._seconds[-10:]
        return self._remaining * sum(recent) / len(recent) if recent else 0.0


@dataclass
class RunningTrial:
    """A trial that trains now.

    Attributes:
        trial: as the ledger has it.
        since: when it started here, on the state's clock.
        reports: seed -> last epoch of each training here, the latest last.
        over: seeds of the trainings that are finished.
    """

    trial: TrialRecord
    since: float
    reports: dict[int, EpochReport] = field(default_factory=dict)
    over: set[int] = field(default_factory=set)

    def add(self, event: TrialEpoch) -> None:
        """Take in an epoch of a training."""
        self.reports.pop(event.seed, None)
        self.reports[event.seed] = event.report
        if event.finished:
            self.over.add(event.seed)

    @property
    def under_way(self) -> dict[int, EpochReport]:
        """The last epochs of trainings that are not over, by seed; several in a comparison."""
        return {seed: self.reports[seed] for seed in sorted(self.reports.keys() - self.over)}

    @property
    def latest(self) -> dict[int, EpochReport]:
        """The last epochs to show: of the trainings under way, else of the one that ended last."""
        return self.under_way or dict([*self.reports.items()][-1:])

    @property
    def seconds_worked(self) -> float:
        """Seconds that its trainings took so far: each one's last epoch, times its epochs.

        Those that were finished before it started here count as the mean of the others.
        """
        if not self.reports:
            return 0.0
        seconds = sum(report.seconds * report.epoch for report in self.reports.values())
        earlier = sum(bool(run.values) for seed, run in self.trial.runs.items() if seed not in self.reports)
        return seconds * (1 + earlier / len(self.reports))

    @property
    def at_work(self) -> int:
        """How many of its trainings have begun and are not over."""
        return max(1, sum(not run.values and seed not in self.over for seed, run in self.trial.runs.items()))

    @property
    def seconds_promised(self) -> list[float]:
        """What is left of each training under way, should it run to its last epoch."""
        return [report.seconds * (report.epochs - report.epoch) for report in self.under_way.values()]


class StudyState:
    """Grows by what happens; memory does not grow with trials but for one word each.

    Args:
        now: seconds, monotonic.

    Attributes:
        name: of the study, empty until it has started.
        settings: of the study.
        scores: its objectives, the ranking one first.
        counts: state -> trials.
        best: the study's winner so far; None in a comparison, which chooses none.
        running: number -> running trial.
        recent: the trials that ended last, the latest first.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._start_time = now()
        self._states: dict[int, State] = {}
        self._durations: deque[float] = deque(maxlen=REMEMBERED)
        self._most_running = 1
        self._until = math.inf
        self.name = ""
        self.settings = SweepSettings()
        self.scores: tuple[Score, ...] = (Score(name="wf1"),)
        self.counts: Counter[State] = Counter()
        self.best: TrialRecord | None = None
        self._front: list[TrialRecord] = []
        self.running: dict[int, RunningTrial] = {}
        self.recent: deque[TrialRecord] = deque(maxlen=RECENT)

    def update(self, event: Event) -> None:
        """Reckon with an event; those of other work change nothing."""
        match event:
            case StudyStarted():
                self._start(event.folder)
            case TrialChanged(trial):
                self._change(trial)
            case TrialEpoch():
                if (running := self.running.get(event.number)) is not None:
                    running.add(event)
                    self._count_running()

    def _start(self, folder: StudyFolder) -> None:
        """Take over what earlier drivers left; trials that ran with them wait to be taken up again."""
        self.name = folder.definition.name
        self.settings, self.scores = folder.definition.sweep, scores_of(folder.definition)
        if self.settings.time:
            self._until = self._now() + parse_duration(self.settings.time) - folder.ledger.worked_s
        for trial in sorted(folder.ledger.trials.values(), key=lambda trial: trial.ended or 0.0):
            self._count(trial, "waiting" if trial.state == "running" else trial.state)
            # What the trainings of a comparison, which run beside one another, took is not known of earlier drivers.
            if trial.started is not None and trial.ended is not None and not self.compares:
                self._durations.append(trial.worked_s)

    def _change(self, trial: TrialRecord) -> None:
        if trial.state == "running":
            self.running.setdefault(trial.number, RunningTrial(trial, self._now())).trial = trial
            self._count_running()
        elif (
            (ended := self.running.pop(trial.number, None)) is not None
            and trial.state in ENDED
            and (seconds := self._worked(ended))
        ):
            self._durations.append(seconds)
        self._count(trial, trial.state)

    def _count_running(self) -> None:
        """Note how many trainings run at a time."""
        self._most_running = max(self._most_running, sum(trial.at_work for trial in self.running.values()))

    def _worked(self, trial: RunningTrial) -> float:
        """Seconds of work that a trial has had; its trainings follow one another in a search."""
        return trial.seconds_worked if self.compares else self._now() - trial.since

    def _count(self, trial: TrialRecord, state: State) -> None:
        before = self._states.get(trial.number)
        if before is not None:
            self.counts[before] -= 1
        self._states[trial.number] = state
        self.counts[state] += 1
        if state in ENDED and before != state:
            self.recent.appendleft(trial)
        if state == "complete" and not self.compares:
            self._front = with_trial(self.scores, self._front, trial)
            self.best = pick_trial(self.scores, self._front)

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
        return self._now() - self._start_time

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all trials have ended; None while nothing tells."""
        each = self._seconds_each()
        if each is None:
            return None
        running = self.running.values()
        rest = [max(each - self._worked(trial), sum(trial.seconds_promised)) for trial in running]
        # The trainings of a comparison can be shared out, each of them cannot.
        longest = [max(trial.seconds_promised, default=0.0) for trial in running] if self.compares else rest
        last = max([*longest, sum(rest) / self._most_running])
        # Trials that run when the time is up are finished.
        by_time = max(self._until - self._now(), last)
        by_trials = max((self.waiting * each + sum(rest)) / self._most_running, last) if self.planned else math.inf
        seconds = min(by_time, by_trials)
        return seconds if seconds < math.inf else None

    def _seconds_each(self) -> float | None:
        """A trial's work: of those that ended, else as its epochs so far promise."""
        if self._durations:
            return sum(self._durations) / len(self._durations)
        reports = [report for trial in self.running.values() for report in trial.reports.values()]
        promised = [report.seconds * report.epochs * self.settings.seeds for report in reports]
        return sum(promised) / len(promised) if promised else None
