import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.local.options import (
    CLIENTS,
    PORTS,
    Options,
    backend_uri,
    claim_ports,
    free_port,
    is_free,
    without_password,
)
from cluster.local.start import up
from cluster.local.state import ClusterError
from tests.ports import free_ports


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (Options(nodes=0), "--nodes: must be at least 1, is 0"),
        (Options(cpus=-2), "--cpus: must be at least 1, is -2"),
        (Options(ray_port=80), "--ray-port: must be between 1024 and 65535, or 0 for any, is 80"),
        (Options(mlflow_port=65536), "--mlflow-port: must be between"),
        (Options(ray_port=7000, dashboard_port=7000), "must differ"),
        (Options(host="here"), "--host: must be an IPv4 address of this machine, is 'here'"),
        (Options(host="0.0.0.0"), "--host: must be the address that the other machines reach this one by"),
        (Options(host="127.0.0.2"), "--host: must be 127.0.0.1 or an address on a network"),
        (Options(host="198.51.100.7"), "--host: must be an address of this machine, 198.51.100.7 is not"),
        (Options(mlflow_backend="runs"), "--mlflow-backend: must be the URL of a database"),
        (Options(mlflow_backend="http://host:5000"), "--mlflow-backend: must be the URL of a database"),
        (Options(artifacts="s3://me:hunter2@lab/runs"), "--artifacts: s3://lab/runs: must hold no credentials"),
    ],
)
def test_the_impossible_is_refused_before_anything_is_started(options: Options, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--") as error:
        up(options, tmp_path / "cluster")
    assert problem in str(error.value)
    assert "hunter2" not in str(error.value)
    assert not (tmp_path / "cluster").exists()


@pytest.mark.parametrize("module", ["absent", "absent.inside", "os.absent"])
def test_a_store_that_the_server_has_no_package_for_is_refused(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLIENTS, "gs", (module, "absent-package"))
    (problem,) = Options(artifacts="gs://lab/runs").problems()
    assert "--artifacts: " in problem
    assert "pip install absent-package" in problem


def test_all_problems_are_told_at_once() -> None:
    assert len(Options(nodes=0, cpus=0, ray_port=1).problems()) == 3


def test_the_defaults_are_possible() -> None:
    assert Options().problems() == []


@pytest.mark.parametrize("name", PORTS)
def test_a_port_in_use_is_refused_and_nothing_is_left(
    name: str, busy_port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cluster")
    with pytest.raises(ClusterError, match=rf"--{name.replace('_', '-')}: port {busy_port} is in use on 127.0.0.1"):
        up(Options(**{name: busy_port}), tmp_path)  # type: ignore[arg-type]
    assert not [record.message for record in caplog.records if record.name == "cluster.local.start"]
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_ports_that_nobody_asked_for_are_free_and_differ() -> None:
    (port,) = free_ports(1)
    claimed = claim_ports(Options(dashboard_port=port))
    assert claimed["dashboard_port"] == port
    assert len(set(claimed.values())) == 3


def test_a_free_port_is_none_that_a_connection_takes_before_the_server_listens() -> None:
    ports = [free_port("127.0.0.1") for _ in range(20)]
    assert all(20000 <= port < 32768 and is_free("127.0.0.1", port) for port in ports)
    assert len(set(ports)) > 1


def test_a_default_port_that_was_asked_for_elsewhere_is_left_to_it() -> None:
    first = claim_ports(Options())["ray_port"]
    claimed = claim_ports(Options(dashboard_port=first))
    assert claimed["dashboard_port"] == first
    assert claimed["ray_port"] > first


def test_a_password_on_the_command_line_is_refused_without_repeating_it() -> None:
    with pytest.raises(ClusterError, match="put the whole URL into MLFLOW_BACKEND_STORE_URI") as error:
        without_password("postgresql://me:hunter2@host/runs")
    assert "hunter2" not in str(error.value)


def test_the_environment_may_name_the_database() -> None:
    environment = {"MLFLOW_BACKEND_STORE_URI": "postgresql://me:hunter2@host/runs"}
    assert without_password("", environment) == "postgresql://me:hunter2@host/runs"
    assert without_password("sqlite:////tmp/runs.db", environment) == "sqlite:////tmp/runs.db"


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("postgresql://me@host/runs", "postgresql+psycopg://me@host/runs"),
        ("postgres://me@host/runs", "postgresql+psycopg://me@host/runs"),
        ("postgresql+pg8000://me@host/runs", "postgresql+pg8000://me@host/runs"),
        ("sqlite:////tmp/runs.db", "sqlite:////tmp/runs.db"),
        ("", ""),
    ],
)
def test_the_driver_is_named(url: str, uri: str) -> None:
    assert backend_uri(url) == uri
