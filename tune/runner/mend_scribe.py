"""Writes into MLflow what a study's ledger and histories say of a training."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from dclf.training.reports import EpochReport
from tune.runner import child_writes
from tune.study.best import trial_config
from tune.study.definition import child_name
from tune.study.folder import StudyFolder
from tune.study.history import saved_history
from tune.study.ledger import TrialRecord
from tune.study.parent import PARENT_NOTE, parent_id
from tune.tracking import records, writes
from tune.tracking.children import KIND_TAG, STUDY_TAG, Children, Key
from tune.tracking.ending import DRIVER_TAG, STATUS_TAG
from tune.tracking.manners import manners
from tune.tracking.reopening import create_run
from tune.tracking.store import Store
from tune.tracking.trouble import explained
from tune.tracking.writes import Sender, Write


class Scribe:
    """Writes to the runs of one study.

    Args:
        folder: the study, locked by this process.
        store: an open store.
    """

    def __init__(self, folder: StudyFolder, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._children = Children(store, folder.definition.name, self._note_run)
        self._token = uuid.uuid4().hex

    def record(self, trial: TrialRecord, seed: int, run_id: str) -> None:
        """Send all that is known of a training of an ended trial; metrics that the run has are left out.

        Args:
            trial: it has ended.
            seed: the training.
            run_id: its run; empty where there is none.
        """
        key, definition = (trial.number, seed), self._folder.definition
        known = self.revived(run_id)
        tags = {**child_writes.child_tags(definition, self._parent, *key), DRIVER_TAG: self._token}
        self._children.open(key, child_name(definition, *key), tags, known, look=False)
        config = trial_config(definition.config, {**trial.params, "train.seed": seed})
        begun = [] if known else child_writes.begun(trial, seed, config, {})
        self._send(key, [*begun, *self._results(trial, seed), *child_writes.ended(trial)])
        if not known:  # last: nothing else is lost with what MLflow refuses of them
            self._send(key, records.user_tags(config))

    def kill(self, run_id: str) -> None:
        """Nobody works on the trial any more."""
        self._send_to(run_id, child_writes.cut_short())

    def kill_parent(self, run_id: str) -> None:
        """Nobody works on the study any more."""
        said = writes.text_values("tags", {STATUS_TAG: "killed: the study was cut short"})
        self._send_to(run_id, [*said, writes.status("KILLED")])

    def delete(self, run_id: str) -> None:
        """Delete a run in MLflow, which keeps it until its own garbage collection."""
        with manners():
            self._store.client.delete_run(run_id)

    def name(self, key: Key, run_id: str) -> None:
        """Have the ledger name a training's run."""
        self._folder.ledger.run(*key, run_id)

    def bring_back(self, key: Key, run_id: str) -> None:
        """Bring back an unfinished training's deleted run; where it is gone, the next driver makes another one."""
        if not self.revived(run_id):
            self.name(key, "")

    def adopt_parent(self, run_id: str) -> None:
        """Have the ledger name the parent run, on which nobody works."""
        self._folder.ledger.note(PARENT_NOTE, run_id=run_id, store=self._store.name)
        self.kill_parent(run_id)

    def bring_back_parent(self, run_id: str) -> None:
        """Bring back the deleted parent run, or make another one where it is gone."""
        if self.revived(run_id):
            return self.kill_parent(run_id)
        definition = self._folder.definition
        made = create_run(self._store, definition.name, {STUDY_TAG: definition.name, KIND_TAG: definition.kind})
        return self.adopt_parent(made.run_id)

    def has(self, run_id: str) -> bool:
        """Whether the store has the run, and it is not deleted."""
        return self._stage(run_id) == "active"

    def revived(self, run_id: str) -> str:
        """The run's id, after bringing it back where it was deleted; empty where the store has no such run."""
        stage = self._stage(run_id) if run_id else ""
        if stage == "deleted":
            with manners():
                self._store.client.restore_run(run_id)
        return run_id if stage else ""

    def _stage(self, run_id: str) -> str:
        """``active`` or ``deleted``; empty where the store has no such run."""
        with explained(self._store.uri), manners() as mlflow:
            try:
                return str(self._store.client.get_run(run_id).info.lifecycle_stage)
            except mlflow.exceptions.MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return ""

    @property
    def _parent(self) -> str:
        return parent_id(self._folder) or ""

    def _results(self, trial: TrialRecord, seed: int) -> list[Write]:
        """Epochs, objective values and test scores."""
        history = saved_history(self._folder.checkpoint(trial.number, seed))
        scores = self._folder.ledger.tested.get((trial.number, seed))
        tested = [] if scores is None else [child_writes.test_write(scores)]
        return [*child_writes.epochs_write(history), *self._objectives(trial, seed, history), *tested]

    def _objectives(self, trial: TrialRecord, seed: int, history: Sequence[EpochReport]) -> list[Write]:
        done, names = trial.runs.get(seed), self._folder.definition.sweep.objectives
        if done is None or not done.values or trial.state == "pruned":
            return []
        if history:
            return [child_writes.seed_write(names, done.values, history[-1])]
        return [writes.metrics(child_writes.objective_metrics(names, done.values), done.epochs)]

    def _send(self, key: Key, items: Sequence[Write]) -> None:
        for item in items:
            self._children.send(key, item)

    def _send_to(self, run_id: str, items: Sequence[Write]) -> None:
        for item in items:
            Sender(self._store.client, run_id, self._store.experiment_id)(item)

    def _note_run(self, key: Key, run_id: str) -> None:
        run = self._folder.ledger.trials[key[0]].runs.get(key[1])
        if run is None or run.run_id != run_id:
            self.name(key, run_id)
