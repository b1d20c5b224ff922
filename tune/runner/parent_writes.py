"""What the parent run of a study says of its progress, as writes: the same whenever they are made from the ledger."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tune.analysis.comparison.variants import is_comparison
from tune.study.folder import StudyFolder
from tune.study.history import saved_history
from tune.study.ledger import ENDED, TrialRecord
from tune.study.ranking import base_scores, best_trial, pick_trial, winner_scores, with_trial
from tune.study.scores import Score, scores_of
from tune.tracking import records, writes
from tune.tracking.records import BEST_EPOCH_METRIC
from tune.tracking.writes import Write

BASE_TEST_METRIC, TEST_GAIN_METRIC = "base/test_wf1", "test/gain_wf1"
"""WF1 of the base configuration on the test split, and how much higher the winner's is, both in shares."""


def ended_trials(folder: StudyFolder) -> list[TrialRecord]:
    """Trials that have ended, in this order."""
    trials = [trial for trial in folder.ledger.trials.values() if trial.state in ENDED]
    return sorted(trials, key=lambda trial: (trial.ended or 0.0, trial.number))


def progress_writes(folder: StudyFolder, first: int) -> Iterator[Write]:
    """A step for every ended trial from the ``first`` on, counted from 1: how many trials ended how, and the best one.

    ``best/val_wf1`` is the best trial's own, of several seeds the mean. A comparison, which chooses no best, has none.
    """
    scores, chooses = scores_of(folder.definition), not is_comparison(folder.definition)
    counts: Counter[str] = Counter()
    front: list[TrialRecord] = []
    for step, trial in enumerate(ended_trials(folder), start=1):
        counts[f"trials/{trial.state}"] += 1
        if chooses and trial.state == "complete":
            front = with_trial(scores, front, trial)
        if step >= first:
            best = pick_trial(scores, front)
            figures = {} if best is None else _best_metrics(scores, best)
            yield writes.metrics({**counts, **figures}, step, writes.stamp(trial.ended or 0.0))


def _best_metrics(scores: Sequence[Score], trial: TrialRecord) -> Mapping[str, float]:
    values = {f"val_{score.name}": value for score, value in zip(scores, trial.values, strict=True)}
    return records.metric_names(values, "best")


def winner_writes(folder: StudyFolder) -> Iterator[Write]:
    """The winner's scores on the test split, its best epoch and its gain, once all trials have ended.

    None where there is no winner, and no gain where the base configuration was not scored.
    """
    if scores := winner_scores(folder):
        when = max(folder.ledger.tested_at.values())
        step = len(ended_trials(folder))
        base = base_scores(folder).get("wf1")
        gain = {} if base is None else {BASE_TEST_METRIC: base, TEST_GAIN_METRIC: scores["wf1"] - base}
        values = {**records.metric_names(scores, "test"), **gain, **_best_epoch(folder)}
        yield writes.metrics(values, step, writes.stamp(when))


def _best_epoch(folder: StudyFolder) -> Mapping[str, float]:
    """The winner's best epoch, the mean of its trainings; none where their epochs are lost."""
    best = best_trial(folder)
    assert best is not None, "it has test scores"
    histories = [saved_history(folder.checkpoint(best.number, seed)) for seed in best.runs]
    epochs = [history[-1].best_epoch for history in histories if history]
    return {BEST_EPOCH_METRIC: math.fsum(epochs) / len(epochs)} if epochs else {}
