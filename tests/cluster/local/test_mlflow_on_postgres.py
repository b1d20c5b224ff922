"""The cluster's MLflow server with PostgreSQL behind it."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cluster.local.processes import marked
from cluster.local.start import up
from cluster.local.state import STATE, ClusterError, LocalCluster
from cluster.local.stop import down
from tests.cluster.local.postgres import Postgres
from tests.cluster.local.support import joining, small

pytestmark = [pytest.mark.mlflow, pytest.mark.ray, pytest.mark.slow]

RECORD = """
import mlflow
mlflow.set_experiment("on postgres")
with mlflow.start_run():
    mlflow.log_metric("wf1", 0.25)
    mlflow.log_text("kept", "note.txt")
    print(mlflow.artifacts.load_text(mlflow.get_artifact_uri("note.txt")))
"""


@pytest.fixture(scope="module")
def cluster(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("postgres") / "cluster"
    try:
        yield up(small(nodes=1, mlflow_backend=postgres.url), folder)
    finally:
        down(folder)


def test_runs_are_rows_in_postgres_and_artifacts_files_of_the_server(postgres: Postgres, cluster: LocalCluster) -> None:
    command = [sys.executable, "-c", RECORD]
    done = subprocess.run(command, check=False, env=joining(cluster), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "kept" in done.stdout
    with psycopg.connect(postgres.url) as database:
        rows = database.execute("select key, value from metrics").fetchall()
    assert rows == [("wf1", 0.25)]
    assert not (cluster.folder / "mlflow.db").exists()
    assert len(list((cluster.folder / "artifacts").rglob("note.txt"))) == 1


def test_the_databases_password_is_shown_nowhere(postgres: Postgres, cluster: LocalCluster) -> None:
    assert not [p for p in marked(cluster.mark) if any(postgres.password in word for word in p.cmdline())]
    texts = [cluster.folder / STATE, *(cluster.folder / "logs").glob("*.log")]
    assert len(texts) == 3
    assert not [path.name for path in texts if postgres.password in path.read_text()]


@pytest.mark.parametrize(
    ("change", "reason"),
    [("password", "password authentication failed"), ("database", "does not exist"), ("port", "refused")],
)
def test_a_database_that_does_not_let_in_is_told_before_anything_starts(
    postgres: Postgres, tmp_path: Path, change: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    (elsewhere,) = (small().ray_port,)
    changed = {
        "password": postgres.url.replace(postgres.password, "hunter2"),
        "database": postgres.url.replace("/postgres", "/absent"),
        "port": postgres.url.replace(f":{postgres.port}/", f":{elsewhere}/"),
    }[change]
    caplog.set_level(logging.INFO, "cluster")
    with pytest.raises(ClusterError, match="--mlflow-backend: the database cannot be used") as refused:
        up(small(mlflow_backend=changed), tmp_path)
    assert reason in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert postgres.password not in str(refused.value)
    assert not [record.message for record in caplog.records if record.name == "cluster.local.start"]
