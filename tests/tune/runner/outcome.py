"""What must hold of a study after whatever happened to it: ledger, Optuna, MLflow and the values agree."""

from collections import Counter
from typing import Any

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from dclf.data import read_shards
from dclf.training.local import LocalSource
from dclf.training.loop import train
from dclf.training.reports import EpochReport
from tune.config.overrides import apply
from tune.runner.optuna_study import JOURNAL, load_study
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.scores import scores_after
from tune.tracking import records
from tune.tracking.children import KIND_TAG, SEED_TAG, STATE_TAG, TRIAL_TAG, find_runs
from tune.tracking.store import Store, connect

STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}


def check_study(folder: StudyFolder, uri: str, *, trials: int, epochs: int) -> None:
    """Exactly these trials, all complete and known everywhere, with every epoch recorded once, and the true values."""
    ledger = folder.ledger
    assert sorted(ledger.trials) == list(range(trials))
    states = {number: (trial.state, trial.reason) for number, trial in ledger.trials.items()}
    assert set(states.values()) == {("complete", "")}, states
    check_optuna(folder)
    store = connect(uri, folder.definition.base.track.experiment)
    check_runs(folder, store)
    for trial in ledger.trials.values():
        for seed, run in trial.runs.items():
            history = uninterrupted(folder, trial, seed)
            assert len(history) == epochs
            assert run.values == objective(folder, history), f"trial {trial.number}"
            check_epochs(store, run.run_id, history)


def check_optuna(folder: StudyFolder) -> None:
    """Every trial of the ledger is one of Optuna's that ended alike, in memory and in the last driver's journal."""
    check_trials(folder, load_study(folder).get_trials())
    backend = JournalFileBackend(str(folder.path / JOURNAL))
    journal = optuna.load_study(study_name=folder.definition.name, storage=JournalStorage(backend))
    check_trials(folder, journal.get_trials())


def check_trials(folder: StudyFolder, frozen: list[FrozenTrial]) -> None:
    for trial in folder.ledger.trials.values():
        optuna_trial = frozen[trial.optuna]
        assert optuna_trial.state.name == STATES[trial.state]
        assert trial.state != "complete" or tuple(optuna_trial.values or ()) == trial.values
    numbers = {trial.optuna for trial in folder.ledger.trials.values()}
    assert {trial.state.name for trial in frozen if trial.number not in numbers} <= {"WAITING"}


def check_runs(folder: StudyFolder, store: Store) -> None:
    """One finished parent, and one run per trial and seed, ended as the trial did."""
    runs = find_runs(store, folder.definition.name)
    parents = [run for run in runs if run.data.tags[KIND_TAG] == "sweep"]
    assert [run.info.status for run in parents] == ["FINISHED"]
    children = [run for run in runs if run.data.tags[KIND_TAG] == "trial"]
    counts = Counter((int(run.data.tags[TRIAL_TAG]), int(run.data.tags[SEED_TAG])) for run in children)
    planned = {(number, seed) for number, trial in folder.ledger.trials.items() for seed in trial.runs}
    assert counts == Counter(planned)
    for run in children:
        trial = folder.ledger.trials[int(run.data.tags[TRIAL_TAG])]
        assert run.info.run_id == trial.runs[int(run.data.tags[SEED_TAG])].run_id
        assert run.info.status == ("FAILED" if trial.state == "failed" else "FINISHED"), run.data.tags
        assert run.data.tags[STATE_TAG] == trial.state
        assert run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id


def check_epochs(store: Store, run_id: str, history: list[EpochReport]) -> None:
    """Every metric of every epoch stands in the run once, with the value of the uninterrupted training."""
    for key in records.epoch_metrics(history[0]):
        points = sorted((point.step, point.value) for point in store.client.get_metric_history(run_id, key))
        if key == "epoch_seconds" or key.startswith("system/"):
            assert [step for step, _ in points] == [report.epoch for report in history]
        else:
            assert points == [(report.epoch, records.epoch_metrics(report)[key]) for report in history], key


def uninterrupted(folder: StudyFolder, trial: TrialRecord, seed: int) -> list[EpochReport]:
    """The same training once more, from its beginning to its end in this process."""
    config = apply(folder.definition.base, {**trial.params, "train.seed": seed})
    torch.set_num_threads(config.train.cpus_per_worker)
    shards = read_shards(config.data.shards)
    return list(train(config, LocalSource(shards, config.data.modalities), shards, score=()).history)


def objective(folder: StudyFolder, history: list[EpochReport]) -> tuple[float, ...]:
    """What the training is worth: its scores at the best epoch."""
    best = scores_after(history, len(history))
    return tuple(best[name] for name in folder.definition.sweep.objectives)


def find_all(folder: StudyFolder, uri: str) -> list[Any]:
    """All MLflow runs of the study, parent and children."""
    return find_runs(connect(uri, folder.definition.base.track.experiment), folder.definition.name)
