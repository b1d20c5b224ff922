"""What the parent run of a study says of its progress, as writes: the same whenever they are made from the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tune.analysis.comparison.variants import is_comparison
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, TrialRecord
from tune.study.ranking import pick_trial, winner_scores, with_trial
from tune.study.scores import Score, scores_of
from tune.tracking import records, writes
from tune.tracking.writes import Write


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
    """The winner's scores on the test split, once all trials have ended; none where there is no winner."""
    if scores := winner_scores(folder):
        when = max(folder.ledger.tested_at.values())
        step = len(ended_trials(folder))
        yield writes.metrics(records.metric_names(scores, "test"), step, writes.stamp(when))
