"""How nodes and server are started: what they are told, and what they are not."""

import configparser
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.local.nodes import head_command, node_environment, worker_command
from cluster.local.options import Options
from cluster.local.state import PASSWORD, TOKEN, LocalCluster, write_private
from cluster.local.tracking_server import SETTINGS, USERS, ensure_user, server_command, server_environment
from tests.cluster.local.support import ended_cluster

NETWORK = "192.0.2.7"


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    cluster = ended_cluster(tmp_path / "cluster")
    write_private(cluster.folder / TOKEN, "t0ken\n")
    ensure_user(cluster.folder)
    return cluster


def test_nodes_know_this_cluster_and_no_other(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"RAY_ADDRESS": "far:6379", "RAY_AUTH_TOKEN": "theirs", "MLFLOW_TRACKING_URI": "http://far"}
    for key, value in {
        **other,
        "RAY_AUTH_MODE": "disabled",
        "MLFLOW_TRACKING_TOKEN": "theirs",
        "HTTP_X": "kept",
    }.items():
        monkeypatch.setenv(key, value)
    environment = node_environment(cluster)
    assert "theirs" not in environment.values()
    assert "RAY_ADDRESS" not in environment
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"] == str(cluster.folder / TOKEN)
    assert environment["MLFLOW_TRACKING_URI"] == cluster.mlflow_uri
    assert environment["HTTP_X"] == "kept"


def test_commands_name_the_host_and_no_secret(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    # No port is free on an address that this machine does not have.
    monkeypatch.setattr("cluster.local.nodes.free_port", lambda _host: 12345)
    for place, module in ((cluster, "cluster.local.ray_node"), (replace(cluster, host=NETWORK), "ray.scripts.scripts")):
        commands = [head_command(place, 10001), worker_command(place, "node-1"), server_command(place, Options())]
        assert all(place.host in command for command in commands)
        assert all(module in command for command in commands[:2])
        words = [word for command in commands for word in command]
        assert not [word for word in words if "t0ken" in word or place.mlflow_password in word]


def test_the_server_admits_the_network_address_only_where_it_listens_there(cluster: LocalCluster) -> None:
    assert "--allowed-hosts" not in server_command(cluster, Options())
    assert f"{NETWORK}:*,localhost:*,127.0.0.1:*" in server_command(replace(cluster, host=NETWORK), Options())


def test_the_databases_url_goes_by_the_environment(cluster: LocalCluster) -> None:
    options = Options(mlflow_backend="postgresql://me:hunter2@host/runs", artifacts="s3://bucket/runs")
    assert not [word for word in server_command(cluster, options) if "hunter2" in word]
    assert "s3://bucket/runs" in server_command(cluster, options)
    environment = server_environment(cluster, options)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql+psycopg://me:hunter2@host/runs"
    assert server_environment(cluster, Options())["MLFLOW_BACKEND_STORE_URI"].startswith("sqlite:////")


def test_the_user_outlives_the_cluster(cluster: LocalCluster) -> None:
    (cluster.folder / USERS).touch()
    before = cluster.mlflow_password
    ensure_user(cluster.folder)
    assert cluster.mlflow_password == before


@pytest.mark.parametrize("lost", [USERS, PASSWORD])
def test_a_user_of_which_half_is_lost_is_made_anew(cluster: LocalCluster, lost: str) -> None:
    (cluster.folder / USERS).touch()
    before = cluster.mlflow_password
    (cluster.folder / lost).unlink()
    ensure_user(cluster.folder)
    assert cluster.mlflow_password != before
    assert not (cluster.folder / USERS).exists()


def test_the_settings_of_the_server_hold_no_password_and_grant_nothing(cluster: LocalCluster) -> None:
    path = cluster.folder / SETTINGS
    settings = configparser.ConfigParser()
    settings.read(path)
    assert settings["mlflow"]["default_permission"] == "NO_PERMISSIONS"
    assert cluster.mlflow_password not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
