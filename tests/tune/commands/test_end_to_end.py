"""The real commands, one after the other: shards, a run on Ray recorded in MLflow, and its score again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cluster.session import machine_cpus

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(600)]
CODE = "import sys; from tune.commands.main import main; sys.exit(main())"
SMALL = {
    "model.options": "{hidden: 16, node_width: 24, layers: 2}",
    "loss.ica_width": "8",
    "loss.window": "4",
    "train.epochs": "3",
    "train.device": "cpu",
}


def dclf(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-c", CODE, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_from_nothing_to_a_score(tmp_path: Path) -> None:
    made = dclf(tmp_path, "data", "generate", "shards", "--preset", "iemocap-small", "--dialogues", "24")
    assert made.returncode == 0, made.stderr
    small = [word for key, value in SMALL.items() for word in (f"--{key}", value)]
    crowded = ["--train.cpus_per_worker", str(machine_cpus() + 1)]
    run = ["train", "iemocap", "--data.shards", "shards", *small, *crowded]
    trained = dclf(tmp_path, *run, "--log", "plain", "--output", "json")
    assert trained.returncode == 0, trained.stderr
    result = json.loads(trained.stdout.splitlines()[-1])
    epochs = [line for line in trained.stderr.splitlines() if line.startswith("epoch ")]
    assert len(epochs) == 3
    assert trained.stdout.count("\n") == 1, "Ray's and MLflow's own words stay out of the result"
    assert "raylet" not in trained.stderr
    assert f"warning: {machine_cpus() + 1} threads " in trained.stderr
    again = dclf(tmp_path, "evaluate", result["run_id"], "--output", "json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["scores"] == pytest.approx(result["test"])
    resumed = dclf(tmp_path, "train", "--resume", result["run_id"])
    assert resumed.returncode == 1
    assert "is finished; there is nothing to resume" in resumed.stderr
    assert "Traceback" not in resumed.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has a GPU")
def test_a_gpu_where_none_is_is_wrong_usage(tmp_path: Path) -> None:
    assert dclf(tmp_path, "data", "generate", "shards", "--preset", "iemocap-small").returncode == 0
    refused = dclf(tmp_path, "train", "iemocap", "--data.shards", "shards", "--train.device", "gpu")
    assert refused.returncode == 2
    assert refused.stderr.startswith("dclf: error: train.device: gpu needs a GPU for each worker, the cluster has none")
    assert "Traceback" not in refused.stderr
