"""A study in a few facts, from its definition, ledger and lock alone: what ``dclf list`` and ``dclf show`` print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dclf.training.reports import EpochReport
from tune.analysis.comparison.study import comparison_facts
from tune.analysis.comparison.variants import is_comparison
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.places import study_names
from tune.study.progress import Progress, failures, open_trainings, progress_of
from tune.study.ranking import base_trial, best_trial, pareto, pick_rule, top_trials
from tune.study.scores import scores_of
from tune.study.trial_table import trial_seconds

TOP = 10
"""The best trials of a study that its details have."""


def list_studies(storage: Path | str) -> list[dict[str, Any]]:
    """One summary per study, the latest first; one that cannot be read has its ``error`` instead.

    Args:
        storage: folder of studies.
    """
    return [_summary_or_error(storage, name) for name in study_names(storage)]


def _summary_or_error(storage: Path | str, name: str) -> dict[str, Any]:
    try:
        return study_summary(StudyFolder.open(storage, name))
    except (ValueError, OSError, KeyError) as error:
        # One damaged study must not hide the others.
        return {"name": name, "error": str(error)}


def study_summary(folder: StudyFolder) -> dict[str, Any]:
    """Name, kind, standing, counts, best value and who works on the study; plain values for JSON.

    A comparison has no best trial: nothing is chosen there.
    """
    progress, best = progress_of(folder), _best_trial(folder)
    first = scores_of(folder.definition)[0]
    return {
        "name": folder.definition.name,
        "kind": folder.definition.kind,
        "created": folder.definition.created,
        "path": str(folder.path),
        **_standing(progress),
        "objective": first.name,
        "direction": first.direction,
        "best_trial": None if best is None else best.number,
        "best_value": None if best is None else best.values[0],
    }


def study_details(folder: StudyFolder) -> dict[str, Any]:
    """As ``study_summary``, with definition, best, base and top trials, failures; a comparison's variants, verdicts.

    ``open`` has the trainings that have begun and not ended, and how far each is.
    """
    best, base = _best_trial(folder), base_trial(folder)
    several = len(scores_of(folder.definition)) > 1
    return {
        **study_summary(folder),
        "objectives": dict(folder.definition.sweep.objectives),
        "space": dict(folder.definition.space),
        "settings": dict(folder.definition.settings),
        "shards": folder.definition.base.data.shards,
        "shards_sha256": folder.definition.shards_sha256,
        "best": None if best is None else trial_facts(best),
        "base": None if base is None else trial_facts(base),
        "top": [] if best is None else [trial_facts(trial) for trial in top_trials(folder, TOP)],
        "pareto": [trial.number for trial in pareto(folder)] if several else [],
        "best_is": pick_rule(scores_of(folder.definition)) if best is not None else "",
        "open": [_open_facts(*training) for training in open_trainings(folder).items()],
        "failures": failures(folder),
        **comparison_facts(folder),
    }


def _open_facts(training: tuple[int, int], history: Sequence[EpochReport]) -> dict[str, Any]:
    number, seed = training
    last = history[-1] if history else None
    return {
        "trial": number,
        "seed": seed,
        "epoch": 0 if last is None else last.epoch,
        "epochs": None if last is None else last.epochs,
        "wf1": None if last is None else last.validation["wf1"],
        "best_wf1": None if last is None else last.best_wf1,
    }


def _best_trial(folder: StudyFolder) -> TrialRecord | None:
    """The best trial of a search; None while it has none, and for a comparison."""
    return None if is_comparison(folder.definition) else best_trial(folder)


def trial_facts(trial: TrialRecord) -> dict[str, Any]:
    """A trial as plain values; numbers that are none become null."""
    seconds = trial_seconds(trial)
    return {
        "number": trial.number,
        "state": trial.state,
        "values": _numbers(trial.values),
        "params": dict(trial.params),
        "seeds": {str(seed): _numbers(run.values) for seed, run in trial.runs.items()},
        "run_ids": [run.run_id for run in trial.runs.values() if run.run_id],
        "epochs": sum(run.epochs for run in trial.runs.values()),
        "seconds": None if math.isnan(seconds) else round(seconds, 3),
        "origin": trial.origin,
        "reason": trial.reason,
    }


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def _standing(progress: Progress) -> dict[str, Any]:
    return {
        "standing": progress.standing,
        "trials": dict(progress.counts),
        "ended": progress.ended,
        "planned": progress.planned,
        "worker": progress.worker,
    }
