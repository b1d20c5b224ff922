"""Sweeps on two nodes of which one is lost: a worker again and again, or the head."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.soak import Soak, unfinished
from dclf.data.reader import ShardSet
from tests.cluster.nodes.two_nodes import TwoNodes
from tests.tune.runner.victims import NAME, SMALL, Victim
from tests.tune.tracking.server import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
TRIAL = "ray::ResourceTrainable"
"""Title that Ray gives to the process of a trial."""
TRAINS = f"{TRIAL}.train"
EPOCHS = 60
"""So many that a lost node is back before all trials have ended."""


@pytest.fixture
def victim(cluster: TwoNodes, tmp_path: Path, shards: ShardSet, uri: str) -> Iterator[Victim]:
    made = Victim(tmp_path, shards.path, uri, cluster.processes, 4, cluster.address)
    yield made
    made.saves.close()


def test_a_lost_head_costs_running_epochs_and_no_finished_trial(cluster: TwoNodes, victim: Victim) -> None:
    driver = victim.go_on()
    wait_until(lambda: min(cluster.running(TRIAL)) > 0 or not driver.running, 180)
    assert driver.running, driver.output
    wait_until(lambda: any(trial.state == "complete" for trial in victim.study.ledger.trials.values()), 180)
    cluster.lose_head()
    driver.kill()
    finished = {number for number, trial in victim.study.ledger.trials.items() if trial.state == "complete"}
    assert len(finished) < victim.trials
    cluster.start()
    resumed = cluster.processes.dclf(
        victim.folder, "resume", NAME, "--storage", "studies", "--address", cluster.address, "--log", "plain"
    )
    assert resumed.end() == 0, resumed.output
    # Every epoch was trained once, those of finished trials before the head was lost, and each trial is one run.
    victim.check()


def test_trials_outlive_nodes_that_are_lost_again_and_again(
    cluster: TwoNodes, shards: ShardSet, uri: str, tmp_path: Path
) -> None:
    shutil.copytree(shards.path, tmp_path / "shards")
    before, seen = cluster.lost, []

    def due(_seconds: float, _ended: int) -> bool:
        """As soon as the worker works, twice; the head has room for two of the three trials."""
        seen.append(cluster.running(TRAINS))
        return cluster.lost < before + 2 and seen[-1][1] > 0

    settings = {**SMALL, "sweep.concurrency": "3", "train.epochs": str(EPOCHS), "track.uri": uri}
    soak = Soak(cluster, tmp_path, 12, EPOCHS, due, settings, every=0.2)
    assert soak.run(lambda _row: None) == 0, soak.output
    assert unfinished(soak.studies, uri, 12) == []
    assert cluster.lost == before + 2, soak.output
    assert any(min(counts) > 0 for counts in seen), "both nodes worked at a time"
