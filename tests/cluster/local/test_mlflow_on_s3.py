"""The cluster's MLflow server with artifacts in a store of the S3 protocol."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.local.processes import marked
from cluster.local.start import up
from cluster.local.state import ClusterError
from cluster.local.stop import down
from dclf.data.storage import Folder
from tests.cluster.local.support import joining, small
from tests.proxies import PROXIES
from tests.stores import SECRET, Store, use

pytestmark = [pytest.mark.mlflow, pytest.mark.ray, pytest.mark.slow]

RECORD = """
import mlflow, os
mlflow.set_experiment("on s3")
with mlflow.start_run():
    mlflow.log_text("kept", "note.txt")
    print(mlflow.artifacts.load_text(mlflow.get_artifact_uri("note.txt")))
"""


def test_artifacts_go_through_the_server_into_the_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(store, monkeypatch, tmp_path / "cache")
    place, folder = f"s3://{store.bucket()}/mlflow", tmp_path / "cluster"
    for name, value in PROXIES.items():
        monkeypatch.setenv(name, value)
    try:
        cluster = up(small(nodes=1, artifacts=place), folder)
        # Who records needs no credentials of the store.
        clean = {name: value for name, value in joining(cluster).items() if not name.startswith("AWS_")}
        command = [sys.executable, "-c", RECORD]
        done = subprocess.run(command, check=False, env=clean, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "kept" in done.stdout
        assert [name for name in Folder.of(place).files() if name.endswith("note.txt")] != []
        assert not (folder / "artifacts").exists()
        assert not [p for p in marked(cluster.mark) if any(SECRET in word for word in p.cmdline())]
        assert not [path.name for path in (folder / "logs").rglob("*.log") if SECRET in path.read_text()]
    finally:
        down(folder)


def test_a_store_that_cannot_be_written_is_told_before_anything_starts(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(store, monkeypatch, tmp_path / "cache")
    caplog.set_level(logging.INFO, "cluster")
    with pytest.raises(ClusterError, match=r"--artifacts: nothing can be kept at s3://no-such-bucket/runs: .*bucket"):
        up(small(artifacts="s3://no-such-bucket/runs"), tmp_path / "cluster")
    assert not [record.message for record in caplog.records if record.name == "cluster.local.start"]
