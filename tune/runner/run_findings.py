"""Where a study's ledger and its runs in MLflow do not agree, by the runs' states and counts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from tune.runner.child_writes import TEST_METRIC, final_status, objective_metrics
from tune.runner.finding import Finding
from tune.runner.replay import Replay
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, SeedRun, TrialRecord
from tune.study.parent import parent_id, parent_ids
from tune.tracking.children import KIND_TAG, PARENT_TAG, SEED_TAG, STATE_TAG, TRIAL_TAG, Key
from tune.tracking.manners import manners
from tune.tracking.records import EPOCH_METRIC
from tune.tracking.store import Store


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

    def among(self, runs: Sequence[Any]) -> Iterator[Finding]:
        """Every disagreement.

        Args:
            runs: all of the study, as MLflow's ``Run`` objects, the oldest first.
        """
        parents, trials = set(parent_ids(self._folder)), self._folder.ledger.trials
        own: dict[Key, list[Any]] = defaultdict(list)
        for run in runs:
            # Another study of this name, deleted or in another folder, has another parent.
            if run.data.tags.get(KIND_TAG) != "trial" or run.data.tags.get(PARENT_TAG) not in parents:
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

    def _training(self, trial: TrialRecord, seed: int, runs: Sequence[Any]) -> Iterator[Finding]:
        key, noted = (trial.number, seed), trial.runs.get(seed, SeedRun(seed=seed)).run_id
        own = next((run for run in runs if run.info.run_id == noted), runs[0] if runs else None)
        for run in runs:
            if run is not own:
                yield self._surplus(self._subject(key), run, "is a second one of the same training")
        if own is None:
            yield from self._missing(trial, key, noted)
            return
        if own.info.run_id != noted:
            problem = f"the ledger does not name its run {own.info.run_id}"
            fix = partial(self._folder.ledger.run, *key, own.info.run_id)
            yield Finding(subject=self._subject(key), problem=problem, remedy="it will", fix=fix)
        if trial.state in ENDED:
            if lacks := list(self._lacks(trial, seed, own)):
                yield self._unsent(key, f"its run {own.info.run_id} lacks {', '.join(lacks)}", "it is sent again")
        elif own.info.status == "RUNNING" and not self._alive:
            problem = f"its run {own.info.run_id} is left RUNNING, and nobody works on the study"
            yield self._unsent(key, problem, "it is marked KILLED")

    def _missing(self, trial: TrialRecord, key: Key, noted: str) -> Iterator[Finding]:
        if trial.state in ENDED:
            yield self._unsent(key, f"{trial.state}, and has no run in MLflow", "one is made from the ledger")
        elif noted:
            yield self._unsent(key, f"its run {noted} is gone from MLflow", "it is brought back or made again")

    def _lacks(self, trial: TrialRecord, seed: int, run: Any) -> Iterator[str]:
        tags, metrics = run.data.tags, run.data.metrics
        if tags.get(PARENT_TAG) != self._parent:
            yield "its present parent"
        if run.info.status != final_status(trial):
            yield f"its final status (is {run.info.status})"
        if tags.get(STATE_TAG) != trial.state:
            yield f"its state (is {trial.state})"
        training = trial.runs.get(seed)
        if training is not None and training.values:
            # Runs of earlier versions have epochs and do not say how many.
            last = int(metrics.get(EPOCH_METRIC, training.epochs if "epoch_seconds" in metrics else 0))
            if last < training.epochs:
                yield f"epochs {last + 1} to {training.epochs}"
            wanted = objective_metrics(self._objectives, training.values)
            if trial.state != "pruned" and not all(_same(metrics.get(name), value) for name, value in wanted.items()):
                yield "its objective values"
        if (trial.number, seed) in self._tested and TEST_METRIC not in metrics:
            yield "its test scores"

    def _surplus(self, subject: str, run: Any, problem: str) -> Finding:
        fix = partial(_delete, self._store, run.info.run_id)
        return Finding(subject=subject, problem=f"run {run.info.run_id} {problem}", remedy="it is deleted", fix=fix)

    def _unsent(self, key: Key, problem: str, remedy: str) -> Finding:
        fix = partial(self._replay.training, *key)
        return Finding(subject=self._subject(key), problem=problem, remedy=remedy, fix=fix)

    def _subject(self, key: Key) -> str:
        return f"trial {key[0]} seed {key[1]}" if self._several else f"trial {key[0]}"


def _key(run: Any) -> Key | None:
    """Trial and seed; None where the tags do not say."""
    try:
        return int(run.data.tags[TRIAL_TAG]), int(run.data.tags[SEED_TAG])
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
