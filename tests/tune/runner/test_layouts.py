"""A layout that would hang on a real cluster is refused at once, and the one that the refusal names finishes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tune.runner.processes import Processes
from tests.tune.runner.ray_nodes import Nodes
from tests.tune.runner.victims import Victim

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
LIMIT_S = 2.0
"""Of a processor: nothing is waited for, and a crowded machine says nothing of the time on the wall."""
REFUSED = """
import json, sys, time
from cluster.session import ray_session
from cluster.trial_plan import TrialPlanError
from tune.search.read import load_sweep
from tune.sweeps import sweep
address, asked = sys.argv[1], load_sweep("iemocap", json.loads(sys.argv[2]))
with ray_session(address):
    begun = time.process_time()
    try:
        sweep(*asked, name="victim")
    except TrialPlanError as error:
        print(json.dumps({"seconds": time.process_time() - begun, "nearest": error.nearest, "message": str(error)}))
"""


@pytest.mark.parametrize(
    "asked",
    [
        {"sweep.workers_per_trial": 2, "sweep.concurrency": 2},
        {"sweep.workers_per_trial": 0, "sweep.concurrency": 4},
    ],
)
def test_a_layout_that_would_hang_is_refused_and_the_nearest_one_finishes(
    tmp_path: Path, shards: Path, sqlite_uri: str, cluster: tuple[Nodes, Processes], asked: dict[str, int]
) -> None:
    nodes, processes = cluster
    common = {"data.shards": str(shards), "track.uri": sqlite_uri, "sweep.storage": str(tmp_path / "studies")}
    refused = subprocess.run(
        [sys.executable, "-c", REFUSED, nodes.address, json.dumps({**common, **asked})],
        env=processes.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert refused.returncode == 0, refused.stderr
    said = json.loads(refused.stdout)
    assert said["seconds"] < LIMIT_S
    assert "CPU slots" in said["message"]
    assert not (tmp_path / "studies" / "victim").exists()
    nearest = {key: str(value) for key, value in {**asked, **said["nearest"]}.items()}
    sweep = Victim(tmp_path, shards, sqlite_uri, processes, 2, nodes.address, nearest)
    driver = sweep.go_on()
    assert driver.end() == 0, driver.output
    assert [trial.state for trial in sweep.study.ledger.trials.values()] == ["complete"] * 2
    sweep.saves.close()
