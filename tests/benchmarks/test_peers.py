"""The searches by hand in ``benchmarks/peers`` do the work that the sweep is measured against."""

import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from dclf.data import write_shards
from dclf.data.generator import generate

pytestmark = [pytest.mark.slow, pytest.mark.ray]
PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
TRIALS, EPOCHS = 2, 2


@pytest.mark.parametrize("name", ["ray_tune", "optuna_processes"])
def test_a_peer_leaves_a_finished_run_per_trial_with_metrics_of_every_epoch(name: str, tmp_path: Path) -> None:
    info, dialogues = generate("iemocap-small", dialogues=12)
    write_shards(dialogues, tmp_path / "shards", info)
    numbers = ("--trials", str(TRIALS), "--epochs", str(EPOCHS))
    command = [sys.executable, str(PEERS / f"{name}.py"), "shards", "out", *numbers]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"of {TRIALS} trials" in done.stdout
    client = MlflowClient(f"sqlite:///{tmp_path}/out/mlflow.db")
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert [run.info.status for run in runs] == ["FINISHED"] * TRIALS
    for run in runs:
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "val_wf1")]
        assert steps == [1, 2]
        assert {"loss.gamma_ca", "loss.gamma_mc", "loss.window", "loss.temperature"} <= run.data.params.keys()
