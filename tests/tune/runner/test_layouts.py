"""Layouts that would hang on a real cluster are refused at once; those that the refusals name finish in other tests."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tune.runner.processes import Processes
from tests.tune.runner.ray_nodes import Nodes
from tests.tune.runner.victims import FULL, NESTED

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow]
LIMIT_S = 2.0
"""Of a processor: nothing is waited for, and a crowded machine says nothing of the time on the wall."""
LAYOUTS = [
    ({"sweep.workers_per_trial": 2, "sweep.concurrency": 2}, NESTED),
    ({"sweep.workers_per_trial": 0, "sweep.concurrency": 4}, FULL),
]
"""What is refused, and the nearest that is not: test_nested_trials and test_lost_nodes run sweeps in these."""
REFUSALS = """
import json, sys, time
from cluster.session import ray_session
from cluster.trial_plan import TrialPlanError
from tune.search.read import load_sweep
from tune.sweeps import sweep
with ray_session(sys.argv[1]):
    for keys in json.loads(sys.argv[2]):
        config, settings = load_sweep("iemocap", keys)
        start = time.process_time()
        try:
            sweep(config, settings, name="victim")
        except TrialPlanError as error:
            seconds = time.process_time() - start
            print(json.dumps({"seconds": seconds, "nearest": error.nearest, "message": str(error)}))
"""


def test_layouts_that_would_hang_are_refused_at_once_with_the_nearest_that_do_not(
    tmp_path: Path, shards: Path, sqlite_uri: str, cluster: tuple[Nodes, Processes]
) -> None:
    nodes, processes = cluster
    common = {"data.shards": str(shards), "track.uri": sqlite_uri, "sweep.storage": str(tmp_path / "studies")}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            REFUSALS,
            nodes.address,
            json.dumps([{**common, **layout} for layout, _ in LAYOUTS]),
        ],
        env=processes.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    refusals = [json.loads(line) for line in done.stdout.splitlines()]
    for (layout, nearest), refusal in zip(LAYOUTS, refusals, strict=True):
        assert refusal["seconds"] < LIMIT_S
        assert "CPU slots" in refusal["message"]
        changed = {key: str(value) for key, value in {**layout, **refusal["nearest"]}.items()}
        assert {"sweep.workers_per_trial": "0", **nearest} == changed
    assert not (tmp_path / "studies" / "victim").exists()
