from pathlib import Path

import mlflow
import pytest

from tests.tune.tracking.trainings import BEGAN_MS, Trainings
from tune.config.yaml_files import ConfigError
from tune.tracking.run_entries import best_scores, read_training, trainings
from tune.tracking.trouble import TrackingError


@pytest.fixture
def some(tmp_path: Path, empty_store: Path) -> Trainings:
    return Trainings(tmp_path, empty_store)


def log_epochs(some: Trainings, run_id: str, name: str, values: list[float]) -> None:
    points = [mlflow.entities.Metric(name, value, BEGAN_MS + step, step) for step, value in enumerate(values, 1)]
    mlflow.MlflowClient(some.uri).log_batch(run_id, metrics=points)


def test_validation_scores_are_those_of_the_best_epoch(some: Trainings) -> None:
    run_id = some.add("peaked", {"best/val_wf1": 0.5, "best/epoch": 2, "test/wf1": 0.4, "test/shift/wf1": 0.3})
    for name, values in {
        "val/wf1": [0.3, 0.5, 0.4],
        "val/f1/joy": [0.1, 0.2, 0.9],
        "val/accuracy/joy": [1, 1, 1],
    }.items():
        log_epochs(some, run_id, name, values)
    run = read_training(some.uri, run_id[:8])
    assert run.metrics["val/wf1"] == 0.4, "the last one"
    assert best_scores(some.uri, run) == {"val/wf1": 0.5, "val/f1/joy": 0.2, "test/wf1": 0.4}


def test_what_a_run_lacks_is_left_out(some: Trainings) -> None:
    some.add("early", status="FAILED")
    assert best_scores(some.uri, read_training(some.uri, "early")) == {}


def test_a_training_says_what_it_is_of(some: Trainings) -> None:
    some.add("alone", seed=7)
    some.add_trial("gammas", 3, {}, seed=5, state="pruned")
    some.add_parent("gammas")
    some.add_foreign()
    trial, alone = trainings(some.uri, at_a_time=1)
    assert (trial.study, trial.trial, trial.seed, trial.status) == ("gammas", 3, 5, "pruned")
    assert (alone.study, alone.trial, alone.seed, alone.status) == ("", None, 7, "finished")
    assert alone.ended is not None
    assert (alone.ended - alone.started).total_seconds() == 90
    assert not read_training(some.uri, "gammas").is_training


def test_what_mlflow_does_not_take_and_a_server_that_is_away_are_told_apart(some: Trainings) -> None:
    with pytest.raises(ConfigError, match="--filter: must be in MLflow's filter language"):
        list(trainings(some.uri, "loss < 3"))
    with pytest.raises(TrackingError, match="Connection refused"):
        list(trainings("http://127.0.0.1:9"))
