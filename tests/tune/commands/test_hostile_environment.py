"""The installed command where proxy, folder for temporary files, home folder and processors are all against it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.session import machine_cpus
from dclf.data import write_shards
from dclf.data.generator import generate
from tests.proxies import behind_proxy
from tests.tune.tracking.server import Server
from tune.tracking.store import connect

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(600)]
TRAIN = """
data: {shards: shards, modalities: [text]}
model: {name: ddin}
train: {epochs: 3, batch_size: 8, device: cpu}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    info, dialogues = generate("iemocap-small", seed=3)
    write_shards(dialogues, folder / "shards", info)
    (folder / "my.yaml").write_text(TRAIN, encoding="utf-8")
    return folder


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """A folder for temporary files whose path is longer than any socket's may be."""
    folder = tmp_path / ("x" * 150)
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def dclf(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("dclf")), *words]
    environment = behind_proxy(HOME="/dev/null/home", OMP_NUM_THREADS="1", **variables)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_a_training_is_recorded_on_a_server_of_this_machine(server: Server, project: Path, temporary: Path) -> None:
    crowded = ["--train.cpus_per_worker", str(machine_cpus() + 1)]
    words = ["train", "my.yaml", "--log", "plain", "--output", "json", "--track.experiment", "hostile", *crowded]
    done = dclf(project, *words, TMPDIR=str(temporary), MLFLOW_TRACKING_URI=server.uri)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "raylet" not in done.stderr
    assert f"warning: {machine_cpus() + 1} threads " in done.stderr
    assert [line.split()[1] for line in done.stderr.splitlines() if line.startswith("epoch ")] == ["1/3", "2/3", "3/3"]
    assert done.stdout.count("\n") == 1, "Ray's and MLflow's own words stay out of the result"
    result = json.loads(done.stdout)
    store = connect(server.uri, "hostile")
    [run] = store.client.search_runs([store.experiment_id])
    assert run.info.status == "FINISHED"
    assert "val/wf1" in run.data.metrics
    assert run.info.run_id == result["run_id"]
    assert run.data.metrics["test/wf1"] == pytest.approx(result["test"]["wf1"])
    assert not (temporary / "ray").exists()


def test_a_folder_for_ray_that_is_too_long_is_told_before_anything_starts(project: Path, temporary: Path) -> None:
    done = dclf(project, "train", "my.yaml", RAY_TMPDIR=str(temporary), MLFLOW_TRACKING_URI="sqlite:///none.db")
    assert done.returncode == 1
    assert "dclf: error: RAY_TMPDIR: must name a folder of at most" in done.stderr
    assert "Traceback" not in done.stderr
    assert "epoch" not in done.stderr
