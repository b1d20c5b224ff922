"""Where a study's ledger and its runs in MLflow do not agree, by the runs' states and counts."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tune.runner.child_writes import TEST_METRIC, final_status, objective_metrics
from tune.runner.finding import Finding
from tune.runner.replay import Replay
from tune.runner.run_models import noted_models
from tune.study.checkpoints import has_checkpoint
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, SeedRun, TrialRecord
from tune.study.parent import parent_id, parent_ids
from tune.tracking.children import KIND_TAG, PARENT_TAG, SEED_TAG, STATE_TAG, TRIAL_TAG, Key, each_run
from tune.tracking.manners import manners
from tune.tracking.records import EPOCH_METRIC, SECONDS_METRIC
from tune.tracking.store import Store
from tune.tracking.trouble import explained

_log = logging.getLogger(__name__)
_TOLD_EVERY = 1000
"""Runs; MLflow takes some five seconds for so many."""
_TAGS = (KIND_TAG, PARENT_TAG, TRIAL_TAG, SEED_TAG, STATE_TAG)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """What is compared with the ledger of a run in MLflow.

    Attributes:
        run_id: MLflow's id.
        status: RUNNING, FINISHED, FAILED or KILLED.
        started: milliseconds since the epoch.
        tags: what the run is of, and how its trial stands.
        metrics: name -> last value, of those that tell whether all was sent.
        has_model: whether it holds a model.
    """

    run_id: str
    status: str
    started: int
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    has_model: bool = False


def recorded_runs(folder: StudyFolder, store: Store) -> list[RecordedRun]:
    """Return the study's runs, the oldest first.

    MLflow makes some sixty objects for a run, most of them parameters: of thousands of runs they are not kept.

    Raises:
        TrackingError: the store does not answer.
    """
    objectives = folder.definition.sweep.objectives
    names = (EPOCH_METRIC, SECONDS_METRIC, TEST_METRIC, *objective_metrics(objectives, tuple(0.0 for _ in objectives)))
    runs: list[RecordedRun] = []
    with explained(store.uri):
        for run in each_run(store, folder.definition.name):
            runs.append(_recorded(run, names))
            if not len(runs) % _TOLD_EVERY:
                _log.info(f"study {folder.definition.name}: {len(runs):,} runs read from MLflow")
    return runs


def _recorded(run: Any, names: Sequence[str]) -> RecordedRun:
    tags, metrics = run.data.tags, run.data.metrics
    return RecordedRun(
        run_id=run.info.run_id,
        status=run.info.status,
        started=run.info.start_time,
        tags={name: tags[name] for name in _TAGS if name in tags},
        metrics={name: metrics[name] for name in names if name in metrics},
        has_model=bool(run.outputs and run.outputs.model_outputs),
    )


class RunFindings:
    """Compares the runs of trainings with the ledger.

    Args:
        folder: the study.
        store: an open store.
        alive: a driver works on the study, and runs of its trials are RUNNING.
    """

    def __init__(self, folder: StudyFolder, store: Store, *, alive: bool) -> None:
        self._folder = folder
        self._store = store
        self._replay = Replay(folder, store)
        self._alive = alive
        self._objectives = folder.definition.sweep.objectives
        self._several = folder.definition.sweep.seeds > 1
        self._first_seed = folder.definition.base.train.seed
        self._parent = parent_id(folder)
        self._tested = folder.ledger.tested
        self._models = noted_models(folder)

    def among(self, runs: Sequence[RecordedRun]) -> Iterator[Finding]:
        """Every disagreement.

        Args:
            runs: all of the study, the oldest first.
        """
        parents, trials = set(parent_ids(self._folder)), self._folder.ledger.trials
        own: dict[Key, list[RecordedRun]] = defaultdict(list)
        for run in runs:
            # Another study of this name, deleted or in another folder, has another parent.
            if run.tags.get(KIND_TAG) != "trial" or run.tags.get(PARENT_TAG) not in parents:
                continue
            key = _key(run)
            if key is None or key[0] not in trials:
                yield self._surplus("the study", run, "belongs to no trial")
            else:
                own[key].append(run)
        seeds = {number: set(trial.runs) for number, trial in trials.items()}
        for number, seed in own:
            seeds[number].add(seed)
        for number, trial in trials.items():
            for seed in sorted(seeds[number] or {self._first_seed}):
                yield from self._training(trial, seed, own.get((number, seed), []))

    def _training(self, trial: TrialRecord, seed: int, runs: Sequence[RecordedRun]) -> Iterator[Finding]:
        key, run_id = (trial.number, seed), trial.runs.get(seed, SeedRun(seed=seed)).run_id
        own = next((run for run in runs if run.run_id == run_id), runs[0] if runs else None)
        for run in runs:
            if run is not own:
                yield self._surplus(self._subject(key), run, "is a second one of the same training")
        if own is None:
            yield from self._missing(trial, key, run_id)
            return
        if own.run_id != run_id:
            problem = f"the ledger does not name its run {own.run_id}"
            fix = partial(self._folder.ledger.run, *key, own.run_id)
            yield Finding(subject=self._subject(key), problem=problem, remedy="it will", fix=fix)
        if trial.state in ENDED:
            if lacks := list(self._lacks(trial, seed, own)):
                yield self._unsent(key, f"its run {own.run_id} lacks {', '.join(lacks)}", "it is sent again")
        elif own.status == "RUNNING" and not self._alive:
            problem = f"its run {own.run_id} is left RUNNING, and nobody works on the study"
            yield self._unsent(key, problem, "it is marked KILLED")

    def _missing(self, trial: TrialRecord, key: Key, run_id: str) -> Iterator[Finding]:
        if trial.state in ENDED:
            yield self._unsent(key, f"{trial.state}, and has no run in MLflow", "one is made from the ledger")
        elif run_id:
            yield self._unsent(key, f"its run {run_id} is gone from MLflow", "it is brought back or made again")

    def _lacks(self, trial: TrialRecord, seed: int, run: RecordedRun) -> Iterator[str]:
        tags, metrics = run.tags, run.metrics
        if tags.get(PARENT_TAG) != self._parent:
            yield "its present parent"
        if run.status != final_status(trial):
            yield f"its final status (is {run.status})"
        if tags.get(STATE_TAG) != trial.state:
            yield f"its state (is {trial.state})"
        training = trial.runs.get(seed)
        if training is not None and training.values:
            # Runs of earlier versions have epochs and do not say how many.
            last = int(metrics.get(EPOCH_METRIC, training.epochs if SECONDS_METRIC in metrics else 0))
            if last < training.epochs:
                yield f"epochs {last + 1} to {training.epochs}"
            expected = objective_metrics(self._objectives, training.values)
            if trial.state != "pruned" and not all(_same(metrics.get(name), value) for name, value in expected.items()):
                yield "its objective values"
        if (trial.number, seed) in self._tested and TEST_METRIC not in metrics:
            yield "its test scores"
        key = trial.number, seed
        if key in self._models and not run.has_model and has_checkpoint(self._folder.checkpoint(*key)):
            yield "its model"

    def _surplus(self, subject: str, run: RecordedRun, problem: str) -> Finding:
        fix = partial(_delete, self._store, run.run_id)
        return Finding(subject=subject, problem=f"run {run.run_id} {problem}", remedy="it is deleted", fix=fix)

    def _unsent(self, key: Key, problem: str, remedy: str) -> Finding:
        fix = partial(self._replay.training, *key)
        return Finding(subject=self._subject(key), problem=problem, remedy=remedy, fix=fix)

    def _subject(self, key: Key) -> str:
        return f"trial {key[0]} seed {key[1]}" if self._several else f"trial {key[0]}"


def _key(run: RecordedRun) -> Key | None:
    """Trial and seed; None where the tags do not say."""
    try:
        return int(run.tags[TRIAL_TAG]), int(run.tags[SEED_TAG])
    except (KeyError, ValueError):
        return None


def _same(one: float | None, other: float) -> bool:
    if one is None:
        return False
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))


def _delete(store: Store, run_id: str) -> None:
    """Delete a run in MLflow, which keeps it until its own garbage collection."""
    with manners():
        store.client.delete_run(run_id)
