"""Sweeps on two nodes of which one is lost: the worker, for which another comes, or the head."""

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
TRAINS = "ray::ResourceTrainable.train"
"""Title that Ray gives to a process in a trial's step."""
TRIALS, EPOCHS = 9, 60
"""So many that another node is there before all trials have ended."""


@pytest.fixture
def victim(cluster: TwoNodes, tmp_path: Path, shards: ShardSet, uri: str) -> Iterator[Victim]:
    made = Victim(tmp_path, shards.path, uri, cluster.processes, 6, cluster.address)
    yield made
    made.saves.close()


def test_a_lost_worker_and_a_lost_head_cost_running_epochs_and_no_finished_trial(
    cluster: TwoNodes, victim: Victim
) -> None:
    driver = victim.go_on()
    wait_until(lambda: (min(cluster.running(TRAINS)) > 0 and victim.saves.total() > 0) or not driver.running, 180)
    assert driver.running, driver.output
    cluster.lose_worker()
    driver.wait_for("its worker was lost, another one goes on from the last epoch")
    wait_until(lambda: "complete" in victim.states() or not driver.running, 180)
    cluster.lose_head()
    driver.kill()
    assert victim.states().count("complete") < victim.trials
    cluster.start()
    resumed = cluster.processes.dclf(
        victim.folder, "resume", NAME, "--storage", "studies", "--address", cluster.address, "--log", "plain"
    )
    assert resumed.end() == 0, resumed.output
    # Every epoch was trained once, those of finished trials before the head was lost, and each trial is one run.
    victim.check()


def test_trials_outlive_a_node_that_is_lost_and_have_the_one_that_takes_its_place(
    cluster: TwoNodes, shards: ShardSet, uri: str, tmp_path: Path
) -> None:
    shutil.copytree(shards.path, tmp_path / "shards")
    before, seen = cluster.lost, []

    def due(_seconds: float, _ended: int) -> bool:
        """As soon as the worker works; the head has room for two of the three trials."""
        seen.append((cluster.lost - before, cluster.running(TRAINS)))
        return cluster.lost == before and seen[-1][1][1] > 0

    settings = {**SMALL, "sweep.concurrency": "3", "train.epochs": str(EPOCHS), "track.uri": uri}
    soak = Soak(cluster, tmp_path, TRIALS, EPOCHS, due, settings, every=0.2)
    assert soak.run(lambda _row: None) == 0, soak.output
    assert unfinished(soak.studies, uri, TRIALS) == []
    assert cluster.lost == before + 1, soak.output
    for lost in (0, 1):
        assert any(each == lost and min(counts) > 0 for each, counts in seen), "both nodes worked at a time"
