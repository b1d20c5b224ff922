"""The cluster's MLflow server with PostgreSQL behind it, and artifacts in a store of the S3 protocol.

The cluster is one that commands start and end, and at last it loses its nodes.
"""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from cluster.local.processes import marked
from cluster.local.start import up
from cluster.local.state import STATE, ClusterError, LocalCluster, load_cluster
from cluster.local.status import status_of_cluster
from cluster.local.stop import down
from dclf.data.storage import Folder
from tests.cluster.local.postgres import Postgres
from tests.cluster.local.support import as_words, assert_nothing_is_left, joining, small
from tests.proxies import PROXIES
from tests.stores import SECRET, Store, use
from tests.tune.runner.processes import Driver, Processes
from tests.tune.tracking.server import wait_until

pytestmark = [pytest.mark.mlflow, pytest.mark.ray, pytest.mark.slow]

RECORD = """
import mlflow
mlflow.set_experiment("in stores")
with mlflow.start_run():
    mlflow.log_metric("wf1", 0.25)
    mlflow.log_text("kept", "note.txt")
    print(mlflow.artifacts.load_text(mlflow.get_artifact_uri("note.txt")))
"""


@pytest.fixture(scope="module")
def artifacts(store: Store) -> str:
    """Where the server keeps them."""
    return f"s3://{store.bucket()}/mlflow"


@pytest.fixture(scope="module")
def processes(postgres: Postgres, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Those of a user with credentials of database and store, and a proxy that reaches none of them."""
    with pytest.MonkeyPatch.context() as environment:
        use(store, environment, tmp_path_factory.mktemp("cache"))
        started = Processes({**PROXIES, "MLFLOW_BACKEND_STORE_URI": postgres.url})
    yield started
    started.end()


@pytest.fixture(scope="module")
def cluster(processes: Processes, artifacts: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two nodes."""
    folder = tmp_path_factory.mktemp("stores") / "cluster"
    try:
        driver = launch(processes, folder, "up", *as_words(small()), "--artifacts", artifacts)
        assert driver.end() == 0, driver.output
        running = load_cluster(folder)
        assert running is not None
        yield running
    finally:
        down(folder)


def launch(processes: Processes, folder: Path, *words: str) -> Driver:
    return processes.dclf(folder.parent, "cluster", *words, "--folder", str(folder))


def test_runs_are_rows_in_postgres_and_artifacts_go_through_the_server_into_the_store(
    postgres: Postgres, store: Store, artifacts: str, cluster: LocalCluster, tmp_path: Path
) -> None:
    # Who records needs no credentials of the store.
    clean = {name: value for name, value in joining(cluster).items() if not name.startswith("AWS_")}
    command = [sys.executable, "-c", RECORD]
    done = subprocess.run(command, check=False, env=clean, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "kept" in done.stdout
    with psycopg.connect(postgres.url) as database:
        rows = database.execute("select key, value from metrics").fetchall()
    assert rows == [("wf1", 0.25)]
    with pytest.MonkeyPatch.context() as environment:
        use(store, environment, tmp_path / "cache")
        assert [name for name in Folder.of(artifacts).files() if name.endswith("note.txt")] != []
    assert not (cluster.folder / "mlflow.db").exists()
    assert not (cluster.folder / "artifacts").exists()


def test_no_password_is_shown_anywhere(postgres: Postgres, cluster: LocalCluster) -> None:
    secrets = (postgres.password, SECRET)
    lines = [word for process in marked(cluster.mark) for word in process.cmdline()]
    assert not [word for word in lines if any(secret in word for secret in secrets)]
    texts = [cluster.folder / STATE, *(cluster.folder / "logs").rglob("*.log")]
    assert len(texts) >= 3
    assert not [path.name for path in texts if any(secret in path.read_text() for secret in secrets)]


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
    with pytest.raises(ClusterError, match="--mlflow-backend: the database cannot be used") as error:
        up(small(mlflow_backend=changed), tmp_path)
    assert reason in str(error.value)
    assert "hunter2" not in str(error.value)
    assert postgres.password not in str(error.value)
    assert not [record.message for record in caplog.records if record.name == "cluster.local.start"]


def test_a_store_that_cannot_be_written_is_told_before_anything_starts(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(store, monkeypatch, tmp_path / "cache")
    caplog.set_level(logging.INFO, "cluster")
    with pytest.raises(ClusterError, match=r"--artifacts: nothing can be kept at s3://no-such-bucket/runs: .*bucket"):
        up(small(artifacts="s3://no-such-bucket/runs"), tmp_path / "cluster")
    assert not [record.message for record in caplog.records if record.name == "cluster.local.start"]


def test_a_lost_node_is_seen_and_a_lost_head_ends_the_cluster(processes: Processes, cluster: LocalCluster) -> None:
    folder, password = cluster.folder, cluster.mlflow_password
    (folder / "mlflow.db").write_text("runs of a start without a database server")
    head, node = (psutil.Process(member.process.pid) for member in cluster.members[1:])
    node.kill()
    wait_until(lambda: [n.state for n in status_of_cluster(cluster).nodes] == ["alive", "lost"], 60)
    assert cluster.running
    head.kill()
    wait_until(lambda: not cluster.running, 20)
    again = launch(processes, folder, "up")
    assert again.end() == 1
    assert "still run, but not the whole of it; clear it away with `dclf cluster down`" in again.output
    assert launch(processes, folder, "down").end() == 0
    assert_nothing_is_left(cluster)
    assert processes.all_gone()
    assert (folder / "mlflow.db").is_file()
    assert (folder / "logs" / "ray" / "gcs_server.out").is_file()
    assert (folder / "mlflow-password").read_text().strip() == password
