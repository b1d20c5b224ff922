"""The compose file's MLflow server: its command line and its environment as they stand there, on a real PostgreSQL."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest
import yaml

from cluster.local.endpoints import answers, fetch_json, status_of
from cluster.manifests import manifest
from tests.cluster.local.postgres import Postgres
from tests.ports import free_ports
from tests.tune.tracking.server import wait_until

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]
GUARDED = "/api/2.0/mlflow/experiments/get?experiment_id=0"
START_LIMIT_S = 240
"""Ten seconds on an idle machine of two cores, 50 with eight times as much to do."""


@pytest.fixture(scope="module")
def secrets(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Docker would mount as /run/secrets."""
    folder = tmp_path_factory.mktemp("secrets")
    values = {"postgres_password": postgres.password, "mlflow_password": "m" * 32, "mlflow_key": "k" * 32}
    for name, value in values.items():
        (folder / name).write_text(value)
    return folder


@pytest.fixture(scope="module")
def server(
    postgres: Postgres, secrets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address and its process; only places are other ones than in a container."""
    folder, (port,) = tmp_path_factory.mktemp("server"), free_ports(1)
    compose = yaml.safe_load(manifest("compose"))
    service = compose["services"]["mlflow"]
    database = ("mlflow@postgres:5432/mlflow", f"dclf@127.0.0.1:{postgres.port}/postgres")
    (folder / "auth.ini").write_text(compose["configs"]["mlflow_auth"]["content"].replace(*database))
    *shell, script = service["command"]
    script = (
        script.replace("$$", "$").replace("/run/secrets", str(secrets)).replace("--host 0.0.0.0", "--host 127.0.0.1")
    )
    own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}
    places = {"/etc/mlflow/auth.ini": str(folder / "auth.ini"), "/mnt/dclf": str(folder), ":5000": f":{port}"}
    environment = yaml.safe_dump(service["environment"]).replace(*database)
    for there, here in places.items():
        environment = environment.replace(there, here)
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            [*shell, script.replace("--port 5000", f"--port {port}")],
            env={**yaml.safe_load(environment), **own},
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(f"{address}/health") or started.poll() is not None, START_LIMIT_S)
        assert started.poll() is None, (folder / "log").read_text()
        yield address, started
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(60)


def test_it_gets_healthy_and_lets_in_who_has_the_password(server: tuple[str, object]) -> None:
    address, _ = server
    assert status_of(address + GUARDED) == HTTPStatus.UNAUTHORIZED
    reply = fetch_json(address + GUARDED, user="dclf", password="m" * 32)
    assert reply["experiment"]["artifact_location"].startswith("mlflow-artifacts:/")


def test_other_host_names_are_refused(server: tuple[str, object]) -> None:
    request = Request(server[0] + GUARDED, headers={"Host": "elsewhere.example"})
    with pytest.raises(OSError, match="403"):
        urlopen(request, timeout=10)


def test_no_secret_is_in_a_command_line(server: tuple[str, subprocess.Popen[bytes]], secrets: Path) -> None:
    leader = psutil.Process(server[1].pid)
    lines = [word for process in (leader, *leader.children(recursive=True)) for word in process.cmdline()]
    assert "basic-auth" in lines
    values = [path.read_text() for path in secrets.iterdir()]
    assert not [word for word in lines if any(value in word for value in values)]
