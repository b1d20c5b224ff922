"""Trials of several workers each, through Ray Train, on a real cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dclf.training.reports import ROBUST_SCORES, EpochReport
from tests.tune.runner.outcome import check_optuna, check_runs, objective, uninterrupted
from tests.tune.runner.processes import Processes
from tests.tune.runner.ray_nodes import Nodes
from tests.tune.runner.victims import NESTED, Victim
from tests.tune.tracking.server import wait_until
from tune.study.history import read_history
from tune.tracking.store import connect

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
EPOCHS = 4


@pytest.fixture
def victim(tmp_path: Path, shards: Path, sqlite_uri: str, cluster: tuple[Nodes, Processes]) -> Iterator[Victim]:
    nodes, processes = cluster
    options = {**NESTED, "train.epochs": str(EPOCHS), "train.protocol": "paper", "train.perturb_every": "3"}
    sweep = Victim(tmp_path, shards, sqlite_uri, processes, 1, nodes.address, options)
    yield sweep
    sweep.saves.close()


def epochs_of(victim: Victim) -> list[EpochReport]:
    """What the first trial keeps, with the seconds that every epoch took."""
    return read_history(victim.path / "trials" / "0" / "s0")


def test_a_killed_sweep_of_nested_trials_goes_on_from_the_last_epoch(victim: Victim) -> None:
    driver = victim.go_on()
    wait_until(lambda: len(epochs_of(victim)) >= 2 or not driver.running, 180)
    driver.kill()
    epochs = epochs_of(victim)
    victim.finish()
    study = victim.study
    assert {number: trial.state for number, trial in study.ledger.trials.items()} == {0: "complete"}
    assert epochs_of(victim)[: len(epochs)] == epochs, "epochs that were kept were not trained again"
    assert all(epoch.peeked.keys() >= {"wf1", "wa"} for epoch in epochs_of(victim)), "as the paper's protocol wants"
    assert [epoch.robust.keys() == set(ROBUST_SCORES) for epoch in epochs_of(victim)] == [False, False, True, True]
    check_optuna(study)
    store = connect(victim.uri, "dclf")
    check_runs(study, store)
    trial = study.ledger.trials[0]
    points = store.client.get_metric_history(trial.runs[0].run_id, "val/wf1")
    assert sorted(point.step for point in points) == list(range(1, EPOCHS + 1))
    # Only the order of summation differs between one process and two workers.
    alone = uninterrupted(study, trial, 0)
    assert trial.values == pytest.approx(objective(study, alone), abs=0.02)
