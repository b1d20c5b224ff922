"""Where a study's ledger and its child runs in MLflow do not agree."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

from tune.runner.child_writes import EPOCH_METRIC, TEST_METRIC, final_status, objective_metrics
from tune.runner.mend_finding import Finding
from tune.runner.mend_scribe import Scribe
from tune.runner.mend_survey import SeenRun
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, SeedRun, TrialRecord
from tune.study.parent import parent_id, parent_ids
from tune.tracking.children import KIND_TAG, PARENT_TAG, STATE_TAG, Key


def asked_metrics(folder: StudyFolder) -> list[str]:
    """Metrics of the runs that tell whether all was sent, as ``survey`` takes them."""
    objectives = folder.definition.sweep.objectives
    return [EPOCH_METRIC, TEST_METRIC, *objective_metrics(objectives, tuple(0.0 for _ in objectives))]


class ChildFindings:
    """Compares the runs with the ledger.

    Args:
        folder: the study.
        scribe: mends.
        alive: a driver works on the study, and runs of its trials are RUNNING.
        all_seen: all runs were looked at, not only unfinished ones.
    """

    def __init__(self, folder: StudyFolder, scribe: Scribe, *, alive: bool = False, all_seen: bool = True) -> None:
        self._folder = folder
        self._scribe = scribe
        self._alive = alive
        self._all_seen = all_seen
        self._objectives = folder.definition.sweep.objectives
        self._several = folder.definition.sweep.seeds > 1
        self._first_seed = folder.definition.base.train.seed
        self._parent = parent_id(folder)
        self._tested = folder.ledger.tested

    def among(self, seen: Sequence[SeenRun]) -> Iterator[Finding]:
        """Every disagreement."""
        parents = set(parent_ids(self._folder))
        runs: dict[Key, list[SeenRun]] = defaultdict(list)
        for run in seen:
            # Another study of this name, deleted or in another folder, has another parent.
            if run.tags.get(KIND_TAG) != "trial" or run.tags.get(PARENT_TAG) not in parents:
                continue
            if run.key is None or run.key[0] not in self._folder.ledger.trials:
                yield self._surplus("the study", run, "belongs to no trial")
            else:
                runs[run.key].append(run)
        seeds = {number: set(trial.runs) for number, trial in self._folder.ledger.trials.items()}
        for number, seed in runs:
            seeds[number].add(seed)
        for number, trial in self._folder.ledger.trials.items():
            for seed in sorted(seeds[number] or {self._first_seed}):
                yield from self._training(trial, seed, runs.get((number, seed), []))

    def _training(self, trial: TrialRecord, seed: int, runs: Sequence[SeenRun]) -> Iterator[Finding]:
        key, known = (trial.number, seed), trial.runs.get(seed, SeedRun(seed=seed)).run_id
        own = next((run for run in runs if run.run_id == known), runs[0] if runs else None)
        for run in runs:
            if run is not own:
                yield self._surplus(self._subject(*key), run, "is a second one of the same training")
        if own is None:
            yield from self._missing(trial, seed, known)
            return
        if own.run_id != known:
            problem = f"the ledger does not name its run {own.run_id}"
            yield self._finding(key, problem, "it will", partial(self._scribe.name, key, own.run_id))
        yield from self._standing(trial, seed, own)

    def _missing(self, trial: TrialRecord, seed: int, known: str) -> Iterator[Finding]:
        key = trial.number, seed
        if trial.state in ENDED and (self._all_seen or not known):
            fix = partial(self._scribe.record, trial, seed, known)
            yield self._finding(key, f"{trial.state}, and has no run in MLflow", "one is made from the ledger", fix)
        elif trial.state not in ENDED and known:
            fix = partial(self._scribe.bring_back, key, known)
            yield self._finding(key, f"its run {known} is gone from MLflow", "it is brought back or made again", fix)

    def _standing(self, trial: TrialRecord, seed: int, own: SeenRun) -> Iterator[Finding]:
        key = trial.number, seed
        if trial.state in ENDED:
            if lacks := list(self._lacks(trial, seed, own)):
                fix = partial(self._scribe.record, trial, seed, own.run_id)
                yield self._finding(key, f"its run {own.run_id} lacks {', '.join(lacks)}", "it is sent again", fix)
        elif own.status == "RUNNING" and not self._alive:
            problem = f"its run {own.run_id} is left RUNNING, and nobody works on the study"
            yield self._finding(key, problem, "it is marked KILLED", partial(self._scribe.kill, own.run_id))

    def _lacks(self, trial: TrialRecord, seed: int, own: SeenRun) -> Iterator[str]:
        if own.tags.get(PARENT_TAG) != self._parent:
            yield "its present parent"
        if own.status != final_status(trial):
            yield f"its final status (is {own.status})"
        if own.tags.get(STATE_TAG) != trial.state:
            yield f"its state (is {trial.state})"
        done = trial.runs.get(seed)
        if done is not None and done.values:
            last = own.metrics.get(EPOCH_METRIC, (0, 0.0))[0]
            if last < done.epochs:
                yield f"epochs {last + 1} to {done.epochs}"
            if trial.state != "pruned" and not self._has_objectives(own, done):
                yield "its objective values"
        if (trial.number, seed) in self._tested and TEST_METRIC not in own.metrics:
            yield "its test scores"

    def _has_objectives(self, own: SeenRun, done: SeedRun) -> bool:
        wanted = objective_metrics(self._objectives, done.values)
        return all(_same(own.metrics.get(name, (0, math.inf))[1], value) for name, value in wanted.items())

    def _surplus(self, subject: str, run: SeenRun, problem: str) -> Finding:
        fix = partial(self._scribe.delete, run.run_id)
        return Finding(subject=subject, problem=f"run {run.run_id} {problem}", remedy="it is deleted", fix=fix)

    def _finding(self, key: Key, problem: str, remedy: str, fix: partial[None]) -> Finding:
        return Finding(subject=self._subject(*key), problem=problem, remedy=remedy, fix=fix)

    def _subject(self, number: int, seed: int) -> str:
        return f"trial {number} seed {seed}" if self._several else f"trial {number}"


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
