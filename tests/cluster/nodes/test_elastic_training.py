"""A training spread over two nodes: smaller where a node leaves, larger where it returns."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from dclf.data.reader import ShardSet
from tests.cluster.nodes.two_nodes import TwoNodes
from tests.tune.runner.processes import Driver
from tests.tune.runner.victims import SMALL
from tests.tune.tracking.server import wait_until
from tune.tracking.store import connect

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
WORKER = "RayTrainWorker"
ELASTIC = """
import sys
import cluster.training
from tune.commands.main import main

cluster.training.RESIZE_SECONDS = 1.0
sys.exit(main())
"""


def test_an_elastic_run_goes_on_when_a_node_leaves_and_grows_when_one_returns(
    cluster: TwoNodes, shards: ShardSet, uri: str, tmp_path: Path
) -> None:
    settings = {key: value for key, value in SMALL.items() if not key.startswith("sweep.")} | {
        "data.shards": str(shards.path),
        "track.uri": uri,
        "train.storage": str(tmp_path / "checkpoints"),
        "train.workers": "[1,2]",
        "train.placement": "spread",
        "train.epochs": "100000",
    }
    words = ["train", "iemocap", "--log", "jsonl", *(word for key in settings for word in (f"--{key}", settings[key]))]
    environment = {**cluster.environment, "RAY_ADDRESS": cluster.address}
    driver = Driver([sys.executable, "-c", ELASTIC, *words], tmp_path, environment)

    def trained_more_than(count: int) -> bool:
        return len(epochs(driver)) > count or not driver.running

    wait_until(lambda: trained_more_than(2), 300)
    assert cluster.running(WORKER) == (1, 1), driver.output
    cluster.lose_worker()
    driver.wait_for("training goes on with 1 worker,", 300)
    before = len(epochs(driver))
    wait_until(lambda: trained_more_than(before + 2), 300)
    cluster.return_worker()
    driver.wait_for("training goes on with 2 workers,", 300)
    before = len(epochs(driver))
    wait_until(lambda: trained_more_than(before + 2), 300)
    assert cluster.running(WORKER) == (1, 1), driver.output
    driver.signal(signal.SIGINT)
    assert driver.end() == 130, driver.output
    wait_until(lambda: cluster.running(WORKER) == (0, 0), 30)
    assert sum(line["event"] == "restarted" for line in events(driver)) == 1
    check_run(uri, epochs(driver))


def events(driver: Driver) -> list[dict[str, Any]]:
    """The lines that are whole."""
    return [json.loads(line) for line in driver.output.split("\n")[:-1] if line.startswith("{")]


def epochs(driver: Driver) -> list[int]:
    return [line["epoch"] for line in events(driver) if line["event"] == "epoch"]


def check_run(uri: str, steps: list[int]) -> None:
    """One run has every epoch once, whatever became of the workers."""
    assert steps == list(range(1, len(steps) + 1))
    store = connect(uri, "dclf")
    (run,) = store.client.search_runs([store.experiment_id])
    assert run.info.status == "KILLED"
    assert [point.step for point in store.client.get_metric_history(run.info.run_id, "val/wf1")] == steps
