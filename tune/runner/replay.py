"""Sends to MLflow again what a study's ledger and histories say, as often as wanted: what is there is kept once."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence

from cluster.temporary import TemporaryFolder
from dclf.prose import quantity
from dclf.training.reports import EpochReport
from tune.runner import child_writes
from tune.runner.parent_writes import ended_trials, progress_writes
from tune.runner.run_models import model_writes, noted_models
from tune.study.best import trial_config
from tune.study.definition import child_name
from tune.study.folder import StudyFolder
from tune.study.history import saved_history
from tune.study.ledger import ENDED, TrialRecord
from tune.study.parent import noted_store, parent_id
from tune.study.reuse import REUSED_NOTE
from tune.study.sent_marks import mark_sent, sent_line, unsent_trials
from tune.tracking import records, writes
from tune.tracking.children import Children, Key
from tune.tracking.ending import DRIVER_TAG
from tune.tracking.reopening import OpenRun, stored_run
from tune.tracking.store import Store, TrackingError
from tune.tracking.trouble import cause_of, explained, may_pass
from tune.tracking.writes import Sender, Write

_log = logging.getLogger(__name__)


class Replay:
    """Sends all that is known of trainings to their runs, which are made where there are none.

    Args:
        folder: the study, locked by this process.
        store: an open store.
    """

    def __init__(self, folder: StudyFolder, store: Store) -> None:
        self._folder = folder
        self._children = Children(store, folder.definition.name, folder.ledger.run)
        self._token = uuid.uuid4().hex

    def training(self, number: int, seed: int) -> None:
        """Send a training: its run's tags and parameters, its epochs and results, how it ended, and its model.

        The run of a trial that has not ended is marked KILLED.

        Raises:
            TrackingError: the store does not answer.
            Exception: what MLflow raises on what it refuses.
        """
        key, definition = (number, seed), self._folder.definition
        trial = self._folder.ledger.trials[number]
        config = trial_config(definition.config, {**trial.params, "train.seed": seed})
        tags = {**child_writes.child_tags(definition, parent_id(self._folder) or "", *key), DRIVER_TAG: self._token}
        run_id = trial.runs[seed].run_id if seed in trial.runs else ""
        run = self._children.open(key, child_name(definition, trial, seed), tags, run_id, look=True)
        for write in (
            *child_writes.start_writes(trial, seed, config, {}, had=run.params),
            *self._results(trial, seed, run),
            *(child_writes.end_writes(trial) if trial.state in ENDED else child_writes.cut_writes()),
            # Last: nothing else is lost with what MLflow refuses of them.
            *records.user_tags(config),
        ):
            self._children.send(key, write)
        if key in noted_models(self._folder):
            with TemporaryFolder("model") as folder:
                for write in model_writes(self._folder, key, folder / "packed"):
                    self._children.send(key, write)

    def _results(self, trial: TrialRecord, seed: int, run: OpenRun) -> Iterator[Write]:
        """Epochs, objective values, test scores, and where a training comes from that was not run here."""
        reports = saved_history(self._folder.checkpoint(trial.number, seed))
        # What earlier versions trained, or is lost, has no times by which MLflow would know it again.
        had = () if reports and all(report.ended for report in reports) else run.metrics
        for write in self._measured(trial, seed, reports):
            yield writes.without_metrics(write, had)
        for note in self._folder.ledger.notes:
            if note["kind"] == REUSED_NOTE and (note["number"], note["seed"]) == (trial.number, seed):
                yield from child_writes.reused_write(note["study"], note.get("run_id", ""))

    def _measured(self, trial: TrialRecord, seed: int, history: Sequence[EpochReport]) -> Iterator[Write]:
        number, ledger = trial.number, self._folder.ledger
        started = trial.created if trial.started is None else trial.started
        reports = list(child_writes.dated(history, started))
        yield from child_writes.epochs_write(reports)
        if reports:
            yield from child_writes.validation_writes(reports[reports[-1].best_epoch - 1])
        training, names = trial.runs.get(seed), self._folder.definition.sweep.objectives
        if training is not None and training.values and trial.state != "pruned":
            if reports:
                yield child_writes.seed_write(names, training.values, reports[-1])
            else:
                values = child_writes.objective_metrics(names, training.values)
                yield writes.metrics(values, training.epochs, writes.stamp(started))
        if (number, seed) in ledger.tested:
            yield from child_writes.test_writes(ledger, (number, seed))


def send_unsent(folder: StudyFolder, store: Store) -> list[str]:
    """Send what MLflow may lack of a study after a kill, which the ledger's marks tell; nothing after a driver's end.

    The parent run itself is left to the driver, which opens it.

    Args:
        folder: the study, locked by this process.
        store: an open store.

    Returns:
        what was done, in one line, after that it begins was logged, and what MLflow refused, one line each.

    Raises:
        TrackingError: the store does not answer, or does not have the study.
    """
    require_parent(folder, store)
    trainings = [(trial.number, seed) for trial in unsent_trials(folder) for seed in begun_seeds(folder, trial)]
    if parent_id(folder) is None or not trainings:
        return []
    many = quantity(len(trainings), "training")
    _log.info(f"MLflow: sending {many} again, as the last driver may have left them unsent")
    replay = Replay(folder, store)
    with explained(store.uri):
        refusals = [refusal for key in trainings if (refusal := _refusal(replay, key))]
        _send_progress(folder, store)
    mark_sent(folder, folder.ledger.lines, closed=True)
    return [f"MLflow: {many} sent again", *refusals]


def begun_seeds(folder: StudyFolder, trial: TrialRecord) -> list[int]:
    """Seeds of a trial's trainings that have a run, or may have one that the ledger does not know."""
    definition = folder.definition
    first = definition.base.train.seed
    seeds = set(trial.runs)
    if seeds and definition.sweep.parallel_seeds:
        return sorted(seeds)  # the ledger names each as it begins
    if not seeds or trial.state not in ("complete", "pruned"):
        planned = range(first, first + definition.sweep.seeds)
        # Trainings of a trial follow one another: the first that is not finished was under way.
        seeds |= {next((seed for seed in planned if seed not in seeds or not trial.runs[seed].values), first)}
    return sorted(seeds)


def require_parent(folder: StudyFolder, store: Store) -> None:
    """Refuse a store that never held the study, or lost it: everything would look unrecorded there.

    Raises:
        TrackingError: the parent run that the ledger names is not in the store.
    """
    run_id = parent_id(folder)
    if run_id is None:
        return
    run = stored_run(store, run_id)
    if run is not None and run.info.lifecycle_stage == "active":
        return
    recorded = noted_store(folder)
    name = folder.definition.name
    if recorded == store.name:
        advice = f"bring it back with: dclf doctor {name} --fix"
    else:
        advice = f"the study is recorded at {recorded}; name that store in track.uri or MLFLOW_TRACKING_URI"
    raise TrackingError(f"MLflow at {store.name} has no parent run {run_id} of study {name!r}; {advice}")


def _refusal(replay: Replay, key: Key) -> str:
    """Send a training; what MLflow refuses of it, in words, and empty where it takes all."""
    try:
        replay.training(*key)
    except Exception as error:
        if may_pass(error):
            raise
        return f"MLflow refused a part of trial {key[0]}, seed {key[1]}: {cause_of(error)}"
    return ""


def _send_progress(folder: StudyFolder, store: Store) -> None:
    """Send the parent's steps of the trials that ended after the last mark."""
    marked = sent_line(folder)
    first = next((step for step, trial in enumerate(ended_trials(folder), start=1) if trial.line > marked), None)
    if first is not None:
        send = Sender(store.client, parent_id(folder) or "", store.experiment_id)
        send(writes.history(list(progress_writes(folder, first))))
