import logging
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest

from tests.tune.tracking.server import Server
from tune.tracking.address import artifact_root, resume_command
from tune.tracking.probe import within
from tune.tracking.store import Store, TrackingError, connect, resolve_tracking_uri


def test_the_configuration_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_tracking_uri() == f"sqlite:///{tmp_path}/dclf-runs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert resolve_tracking_uri() == "http://host:5000"
    assert resolve_tracking_uri("sqlite:///here.db") == f"sqlite:///{tmp_path}/here.db"


def test_the_command_that_goes_on_with_a_run_names_an_unusual_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resume_command("3f2a", "") == "dclf train --resume 3f2a"
    assert (
        resume_command("3f2a", "sqlite:///a b.db")
        == f"dclf train --resume 3f2a --track.uri 'sqlite:///{tmp_path}/a b.db'"
    )
    elsewhere = resume_command("3f2a", "http://me:geheim@host:5000")
    assert elsewhere == "dclf train --resume 3f2a --track.uri http://host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert resume_command("3f2a", "http://host:5000") == "dclf train --resume 3f2a"


def test_artifacts_lie_beside_the_file(tmp_path: Path) -> None:
    assert artifact_root(f"sqlite:///{tmp_path}/mlflow.db") == f"file://{tmp_path}/artifacts"
    assert artifact_root("http://host:5000") is None
    assert str(artifact_root("postgresql://host/db")).endswith("/dclf-runs/artifacts")


def test_a_fresh_store_is_made_silently(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    uri = f"sqlite:///{tmp_path}/new/folder/mlflow.db"
    store = connect(uri, "emotions & more")
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.name == "emotions & more"
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.artifact_location == f"file://{tmp_path}/new/folder/artifacts/emotions---more"
    assert connect(uri, "emotions & more").experiment_id == store.experiment_id
    assert capfd.readouterr() == ("", "")


def test_nothing_global_is_left_behind(sqlite_uri: str) -> None:
    environment, before = dict(os.environ), mlflow.get_tracking_uri()
    level = logging.getLogger("mlflow").level
    connect(sqlite_uri, "dclf")
    assert dict(os.environ) == environment
    assert mlflow.get_tracking_uri() == before
    assert logging.getLogger("mlflow").level == level


@pytest.mark.slow
def test_two_runs_may_open_a_fresh_store_at_once(tmp_path: Path) -> None:
    code = (
        f"from tune.tracking.store import connect; print(connect('sqlite:///{tmp_path}/mlflow.db', 'x').experiment_id)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(subprocess.run, command, capture_output=True, text=True) for _ in range(2)]
    assert [run.result().stderr for run in runs] == ["", ""]
    assert len({run.result().stdout for run in runs}) == 1


@pytest.mark.parametrize("uri", ["file:/somewhere/mlruns", "/somewhere/mlruns", "mlruns"])
def test_folders_are_refused_with_what_to_use(uri: str) -> None:
    with pytest.raises(TrackingError, match=r"no longer keeps runs in plain folders.*sqlite:////.*mlruns/mlflow\.db"):
        connect(uri, "dclf")


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("ftp://host/x", "must be sqlite:///FILE"),
        ("sqlite:///", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("mssql://me:geheim@host/x", "needs its database driver"),
    ],
)
def test_unusable_uris_say_what_would_do(uri: str, problem: str) -> None:
    with pytest.raises(TrackingError, match=problem) as raised:
        connect(uri, "dclf")
    assert "geheim" not in str(raised.value)


def test_an_unreachable_server_is_told_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(
            TrackingError, match=rf"MLflow at http://127.0.0.1:{port} .*refused.*start the server"
        ) as error:
            connect(f"http://me:geheim@127.0.0.1:{port}", "dclf")
    assert time.monotonic() - start < 10
    assert "geheim" not in str(error.value)


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(TrackingError, match=r"no answer within 1 s|timed out"):
            connect(f"http://127.0.0.1:{silent.getsockname()[1]}", "dclf", timeout_s=1)
        assert time.monotonic() - start < 10


def test_an_answer_that_is_not_in_time_is_given_up() -> None:
    answer = threading.Event()
    with pytest.raises(TrackingError, match=r"no answer within 0\.1 s"):
        within(0.1, "http://host", answer.wait)
    answer.set()


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_text("not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(TrackingError, match="file is not a database"):
        connect(f"sqlite:///{file}", "dclf")
    with pytest.raises(TrackingError, match="unable to open database file"):
        connect(f"sqlite:///{tmp_path}", "dclf")
    with pytest.raises(TrackingError, match=r"Not a directory|File exists"):
        connect(f"sqlite:///{file}/below/mlflow.db", "dclf")


def test_the_name_of_a_deleted_experiment(store: Store) -> None:
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(TrackingError, match=r"'dclf' is taken by a deleted.*restore --experiment-id \d"):
        connect(store.uri, "dclf")


@pytest.mark.mlflow
@pytest.mark.slow
def test_a_server_keeps_artifacts_itself(server: Server) -> None:
    store = connect(server.uri, "on a server")
    assert store.client.get_experiment(store.experiment_id).artifact_location.startswith("mlflow-artifacts:")
    assert store.name == server.uri
