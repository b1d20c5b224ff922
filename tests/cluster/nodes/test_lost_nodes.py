"""A sweep on two nodes of which the worker is lost, and then the head."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dclf.data.reader import ShardSet
from tests.cluster.nodes.two_nodes import TwoNodes
from tests.tune.runner.victims import FULL, STEP, Victim
from tests.tune.tracking.server import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]


@pytest.fixture
def victim(cluster: TwoNodes, tmp_path: Path, shards: ShardSet, uri: str) -> Iterator[Victim]:
    """The head has room for two of its three trials at a time."""
    sweep = Victim(tmp_path, shards.path, uri, cluster.processes, 5, cluster.address, FULL)
    yield sweep
    sweep.saves.close()


def test_lost_nodes_cost_running_epochs_and_no_finished_trial(cluster: TwoNodes, victim: Victim) -> None:
    driver = victim.go_on()
    # As soon as it has a trial: on a busy machine the trials of the head may all have ended a moment later.
    wait_until(lambda: cluster.suspend_worker_in(STEP) or not driver.running, 180)
    assert driver.running, driver.output
    cluster.lose_worker()
    driver.wait_for("its worker was lost")
    wait_until(lambda: "complete" in victim.states() or not driver.running, 180)
    cluster.lose_head()
    driver.kill()
    assert victim.states().count("complete") < victim.trials
    cluster.start()
    victim.address = cluster.address
    victim.finish()
    # Every epoch was trained once, those of finished trials before the head was lost, and each trial is one run.
    victim.check()
