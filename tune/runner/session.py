"""One driver's work on a study: what runs next, what came of it, and who is told.

The session stands between whatever runs trials (``tune.runner.engine``) and what remembers them: the ledger with
Optuna's study beside it, MLflow and the listeners. It knows nothing of Ray.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dclf.config import Config
from dclf.training.reports import EpochReport
from tune.analysis.comparison.variants import is_comparison
from tune.config.overrides import apply
from tune.report.facts import best_note
from tune.runner.optuna_study import LiveStudy
from tune.runner.parent_writes import ended_trials
from tune.runner.recorder import StudyRecorder
from tune.runner.run_models import note_models
from tune.runner.tidy import Tidier
from tune.search.space import Space
from tune.search.start_points import countable_size, start_points
from tune.search.stopping import StopRule
from tune.study.best import best_yaml
from tune.study.events import Event, Listener, TrialChanged, TrialEpoch, send
from tune.study.folder import StudyFolder
from tune.study.ledger import BEGIN_NOTE, ENDED, SeedRun, State, TrialRecord
from tune.study.ranking import best_trial
from tune.study.reuse import REUSED_NOTE, FinishedTraining, FinishedTrainings, take_over, trial_hash
from tune.study.scores import scores_after

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What runs by itself: a trial, in a comparison each of its trainings (``SweepSettings.tasks``).

    Attributes:
        number: of the trial.
        seeds: ``train.seed`` of the trainings, which follow one another.
    """

    number: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TrialStep:
    """What a trial reports after an epoch or a few.

    Attributes:
        number: the trial.
        seed: ``train.seed`` of the training.
        reports: the epochs that are new to the driver, the last one just finished; after a restart also those that
            the checkpoint brought back.
        curve: for each report the first objective's value at the best epoch up to it, for the pruner; NaN where that
            is not known, empty where nothing was to be decided.
        values: objective values of the best epoch so far; NaN where they are not known yet.
        seed_finished: this training is over.
    """

    number: int
    seed: int
    reports: Sequence[EpochReport]
    curve: Sequence[float]
    values: tuple[float, ...]
    seed_finished: bool


class Session:
    """Hands out trials and takes in what they say.

    Args:
        folder: the study, locked by this process.
        study: Optuna's, with its sampler and pruner.
        space: what trials vary.
        recorder: writes to MLflow.
        listeners: are called with every change of a trial and every epoch, once the others know.
    """

    def __init__(
        self,
        folder: StudyFolder,
        study: LiveStudy,
        space: Space,
        recorder: StudyRecorder,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.folder = folder
        self.ledger = folder.ledger
        self.settings = folder.definition.sweep
        self.base: Config = folder.definition.base
        self.stop_reason: str | None = None
        self._study = study
        self.space = space
        self._recorder = recorder
        self._listeners = listeners
        self._finished = FinishedTrainings.for_study(folder)
        self._tidier = Tidier(folder, self.settings.keep)
        self._stop = StopRule(self.settings, countable_size(self.settings, space, self.base))
        self._best: int | None = None
        self._start = time.monotonic()
        self._spent = self.ledger.worked_s
        self.ledger.note(BEGIN_NOTE)
        left = [trial for trial in self.ledger.trials.values() if trial.state not in ENDED]
        self._unfinished = [task for trial in left for task in self._tasks(trial)]
        self._start_points = start_points(self.settings, space, self.base)
        tried = [trial.params for trial in self.ledger.trials.values()]
        study.enqueue([point for point in self._start_points if point not in tried])

    @property
    def elapsed(self) -> float:
        """Seconds that drivers have worked on the study, earlier ones included."""
        return self._spent + time.monotonic() - self._start

    @property
    def has_unfinished(self) -> bool:
        """Whether there is work that was begun or put back, and that nobody does."""
        return any(self.ledger.trials[task.number].state not in ENDED for task in self._unfinished)

    def put_back(self, task: Task) -> None:
        """Put back what could not begin; ``next`` hands it out before anything new."""
        self._unfinished.append(task)

    def next(self) -> Task | None:
        """What runs next: first what an earlier driver left, then new trials; None when nothing shall follow.

        Trainings of a comparison that other studies have done already are taken over from there and not handed out.
        """
        while (task := self._next()) is not None:
            self._take_over(task)
            if seeds := self._missing_seeds(task):
                return replace(task, seeds=seeds)
            self.finish(task)
        return None

    def _next(self) -> Task | None:
        while self._unfinished:
            task = self._unfinished.pop(0)
            # One of several tasks of a trial may have failed, and the trial with it.
            if self.ledger.trials[task.number].state not in ENDED:
                return task
        ended = [trial.values[0] for trial in ended_trials(self.folder) if trial.values]
        self.stop_reason = self._stop.reason(ended, self.elapsed, len(self.ledger.trials))
        if self.stop_reason is not None or self._study.exhausted:
            return None
        record = self._study.create(self._start_points)
        self._send(TrialChanged(record))
        first, *others = self._tasks(record)
        self._unfinished += others
        return first

    def _tasks(self, trial: TrialRecord) -> list[Task]:
        """All of a trial, whatever of it is finished."""
        seeds = tuple(self.seeds())
        parts = [(seed,) for seed in seeds] if self.settings.parallel_seeds else [seeds]
        return [Task(number=trial.number, seeds=part) for part in parts]

    def _missing_seeds(self, task: Task) -> tuple[int, ...]:
        """Return the seeds of the trainings that are not finished."""
        finished = finished_seeds(self.ledger.trials[task.number])
        return tuple(seed for seed in task.seeds if seed not in finished)

    def _take_over(self, task: Task) -> None:
        """Take what other studies have trained of a comparison."""
        if self.settings.test != "all":
            return
        trial = self.ledger.trials[task.number]
        for seed in task.seeds:
            own = trial.runs.get(seed)
            if own is not None and (own.run_id or own.values):
                continue  # begun here: it goes on
            finished = self._finished.find(trial_hash(self.folder.definition, trial.params, seed))
            if finished is not None:
                self._take_over_training(trial.number, seed, finished)

    def _take_over_training(self, number: int, seed: int, finished: FinishedTraining) -> None:
        try:
            history = take_over(finished, self.folder.checkpoint(number, seed))
            self.folder.uploaded(number, seed)
        except OSError:
            # Somebody deletes that study just now: the training is repeated.
            return
        if self.ledger.trials[number].started is None:
            self.ledger.start(number, seed)
        origin = {"study": finished.study, "trial": finished.number, "run_id": finished.run_id}
        self.ledger.note(REUSED_NOTE, number=number, seed=seed, **origin)
        if finished.test is not None:
            # The test score before the training counts as done: a kill in between would leave a training without one,
            # and without its model nobody could score it.
            self.ledger.test(number, seed, finished.test, finished.test_confusion)
        scores = scores_after(history, len(history))
        values = tuple(scores[name] for name in self.settings.objectives)
        self.record_step(
            TrialStep(number=number, seed=seed, reports=history, curve=(), values=values, seed_finished=True)
        )
        self._recorder.reused(number, seed, finished.study, finished.run_id)
        if finished.test is not None:
            self._recorder.tested(number, seed)
        _log.info(f"trial {number}: seed {seed} was trained by study {finished.study}, trial {finished.number}")

    def config(self, trial: TrialRecord, seed: int) -> Config:
        """What one training of a trial trains."""
        return apply(self.base, {**trial.params, "train.seed": seed})

    def seeds(self) -> range:
        """Seeds of every trial."""
        return range(self.base.train.seed, self.base.train.seed + self.settings.seeds)

    def start(self, task: Task) -> None:
        """A task runs on a worker, for the first time or again."""
        trial = self.ledger.trials[task.number]
        if trial.state in ENDED:
            return
        first = self._missing_seeds(task)[0]
        # Into the ledger before there is a run in MLflow: a training without this line certainly has none.
        self.ledger.start(task.number, first)
        self._record(trial, first)
        self._send(TrialChanged(self.ledger.trials[task.number]))

    def change_params(self, number: int, params: Mapping[str, Any]) -> None:
        """Population based training gave a trial other values; nothing happens where they are the same."""
        if dict(params) != dict(self.ledger.trials[number].params):
            self.ledger.change(number, params)
            self._send(TrialChanged(self.ledger.trials[number]))

    def record_step(self, step: TrialStep) -> bool:
        """Take in what a trial says; whether it should be ended early."""
        trial = self.ledger.trials[step.number]
        if trial.state in ENDED:
            # Another of its trainings has failed.
            return True
        self.ledger.alive()
        self._record(trial, step.seed)
        self._recorder.epochs(step.number, step.seed, step.reports, last=step.seed_finished)
        self._send(TrialEpoch(step.number, step.seed, step.reports[-1], finished=step.seed_finished))
        if step.seed_finished:
            self.ledger.seed_done(step.number, step.seed, step.values, step.reports[-1].epoch)
            self._recorder.seed_finished(step.number, step.seed, step.values, step.reports[-1])
        return self._prunes(step)

    def _record(self, trial: TrialRecord, seed: int) -> None:
        """Tell MLflow of a training once; its configuration takes longer to make than all else of an epoch."""
        if not self._recorder.knows(trial.number, seed):
            self._recorder.trial(trial, seed, self.config(trial, seed))

    def finish(self, task: Task) -> None:
        """All trainings of a task are over; its trial ends where it has no other left."""
        trial = self.ledger.trials[task.number]
        if trial.state in ENDED:
            self._tidy_late(trial)
        elif all(seed in finished_seeds(trial) for seed in self.seeds()):
            self._completed(trial)

    def _tidy_late(self, trial: TrialRecord) -> None:
        """Delete what a training has written after another one had ended their trial."""
        self._tidier.ended(trial)

    def _completed(self, trial: TrialRecord) -> None:
        number, runs = trial.number, trial.runs.values()
        values = tuple(sum(column) / len(column) for column in zip(*(run.values for run in runs), strict=True))
        if all(map(math.isfinite, values)):
            self._end(number, "complete", values)
        else:
            self._end(number, "failed", reason=f"its objective is not a number: {values}")

    def prune(self, number: int, step: TrialStep) -> None:
        """A trial was ended early; nothing happens where it has ended already, by another of its trainings."""
        trial = self.ledger.trials[number]
        if trial.state in ENDED:
            self._tidy_late(trial)
            return
        epoch = step.reports[-1].epoch
        self._end(number, "pruned", step.values, f"{self.settings.scheduler} after epoch {epoch}")
        # After the end: a kill between would leave a trial whose trainings are all over, which counts as complete.
        self.ledger.seed_done(number, step.seed, step.values, epoch)

    def record_test(
        self, number: int, seed: int, scores: Mapping[str, float], confusion: Sequence[Sequence[int]] = ()
    ) -> None:
        """A training was scored on the test split; its first scores stand."""
        if (number, seed) in self.ledger.tested:
            return
        self.ledger.test(number, seed, scores, confusion)
        self._recorder.tested(number, seed)

    def fail(self, number: int, reason: str) -> None:
        """A trial cannot go on; the others do. Its first reason stands."""
        trial = self.ledger.trials[number]
        if trial.state in ENDED:
            self._tidy_late(trial)
        else:
            self._end(number, "failed", reason=reason)

    def _end(self, number: int, state: State, values: tuple[float, ...] = (), reason: str = "") -> None:
        self._study.end(number, state, values, reason)
        trial = self.ledger.trials[number]
        self._recorder.ended(trial)
        self._tidier.ended(trial)
        self._report_progress()
        self._send(TrialChanged(trial))

    def _report_progress(self) -> None:
        """The parent run's metrics, a step per ended trial; the best configuration with every other best trial."""
        self._recorder.progress()
        best = None if is_comparison(self.folder.definition) else best_trial(self.folder)
        if best is not None and best.number != self._best:
            self._best = best.number
            self._recorder.file("best.yaml", best_yaml(self.folder))
            self._recorder.describe(best_note(self.folder))

    def conclude(self) -> None:
        """All trials have ended and what ``sweep.test`` names is scored: the parent run gets the winner's scores.

        Runs of the winner, or of every variant, get their models.
        """
        self._recorder.concluded()
        for number, seed in note_models(self.folder):
            self._recorder.model(number, seed)

    def _prunes(self, step: TrialStep) -> bool:
        """Report the first training of a trial to the pruner, which compares equal epochs."""
        if len(self.settings.objectives) > 1 or step.seed != self.seeds()[0]:
            return False
        pairs = zip(step.reports, step.curve, strict=False)
        curve = {report.epoch: value for report, value in pairs if not math.isnan(value)}
        return self._study.report(step.number, curve, last=step.seed_finished)

    def _send(self, event: Event) -> None:
        send(event, self._listeners)


def finished_seeds(trial: TrialRecord) -> dict[int, SeedRun]:
    """The trainings of a trial that need not be repeated."""
    return {seed: run for seed, run in trial.runs.items() if run.values}
