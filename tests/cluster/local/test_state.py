import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.local.processes import Identity
from cluster.local.state import (
    PASSWORD,
    STATE,
    TOKEN,
    ClusterError,
    ClusterFolderError,
    LocalCluster,
    Member,
    load_cluster,
    running_cluster,
    save_cluster,
    write_private,
)

THIS = Identity.of(os.getpid())
OTHER_LIFE = Identity(os.getpid(), THIS.started - 3600)


@pytest.fixture
def cluster_on_disk(tmp_path: Path) -> LocalCluster:
    write_private(tmp_path / TOKEN, "t0ken\n")
    write_private(tmp_path / PASSWORD, "pass\n")
    cluster = LocalCluster(
        folder=tmp_path,
        mark="mark",
        host="127.0.0.1",
        ray_port=26379,
        dashboard_port=28265,
        mlflow_port=25000,
        cpus=2,
        sockets="/tmp/dclf-none",
        versions={"ray": "2.60.0"},
        started="2025-01-01T00:00:00+00:00",
        members=(Member("mlflow", THIS), Member("head", THIS), Member("node-1", OTHER_LIFE)),
        complete=True,
    )
    save_cluster(cluster)
    return cluster


def test_a_state_comes_back_as_it_was_saved(cluster_on_disk: LocalCluster) -> None:
    assert load_cluster(cluster_on_disk.folder) == cluster_on_disk


def test_addresses(cluster_on_disk: LocalCluster) -> None:
    assert cluster_on_disk.ray_address == "127.0.0.1:26379"
    assert (cluster_on_disk.jobs_address, cluster_on_disk.mlflow_uri) == (
        "http://127.0.0.1:28265",
        "http://127.0.0.1:25000",
    )


def test_only_the_owner_can_read_state_and_secrets(cluster_on_disk: LocalCluster) -> None:
    for name in (STATE, TOKEN, PASSWORD):
        assert stat.S_IMODE((cluster_on_disk.folder / name).stat().st_mode) == 0o600


def test_the_state_holds_no_secret(cluster_on_disk: LocalCluster) -> None:
    text = (cluster_on_disk.folder / STATE).read_text()
    assert "t0ken" not in text
    assert '"pass"' not in text


def test_the_environment_lets_in(cluster_on_disk: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.setenv("no_proxy", "*")
    cluster_on_disk = replace(cluster_on_disk, host="192.0.2.7")
    assert cluster_on_disk.environment() == {
        "NO_PROXY": "intranet,localhost,127.0.0.1,::1,192.0.2.7",
        "no_proxy": "*",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "t0ken",
        "MLFLOW_TRACKING_URI": "http://192.0.2.7:25000",
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": "pass",
    }


def test_off_loopback_ray_resolves_addresses_as_ever(cluster_on_disk: LocalCluster) -> None:
    assert cluster_on_disk.environment()["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in replace(cluster_on_disk, host="192.0.2.7").environment()


def test_a_lost_secret_is_named(cluster_on_disk: LocalCluster) -> None:
    (cluster_on_disk.folder / TOKEN).unlink()
    with pytest.raises(ClusterError, match=r"ray-token: must hold a secret .* `dclf cluster down`"):
        cluster_on_disk.environment()


def test_no_state_is_no_cluster(tmp_path: Path) -> None:
    assert load_cluster(tmp_path) is None
    with pytest.raises(ClusterError, match="no local cluster is up there; start one with `dclf cluster up`"):
        running_cluster(tmp_path)


def test_a_file_is_no_folder_of_a_cluster(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ClusterFolderError, match="file: must be the folder of a local cluster, is a file"):
        load_cluster(file)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}", '{"format": 1}', '{"format": 99, "members": []}'])
def test_a_state_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE).write_text(text)
    with pytest.raises(ClusterError, match=r"cluster.json: must be the state of a local cluster, cannot be read"):
        load_cluster(tmp_path)


def test_an_unknown_key_is_refused(cluster_on_disk: LocalCluster) -> None:
    path = cluster_on_disk.folder / STATE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"colour": "red"}))
    with pytest.raises(ClusterError, match="colour"):
        load_cluster(cluster_on_disk.folder)


def test_a_lost_worker_node_does_not_end_the_cluster(cluster_on_disk: LocalCluster) -> None:
    assert running_cluster(cluster_on_disk.folder) == cluster_on_disk


@pytest.mark.parametrize("name", ["head", "mlflow"])
def test_a_recycled_id_is_not_the_cluster(cluster_on_disk: LocalCluster, name: str) -> None:
    members = tuple(replace(m, process=OTHER_LIFE) if m.name == name else m for m in cluster_on_disk.members)
    save_cluster(replace(cluster_on_disk, members=members))
    with pytest.raises(ClusterError, match="no longer runs as a whole"):
        running_cluster(cluster_on_disk.folder)


def test_a_start_that_was_cut_short_is_no_running_cluster(cluster_on_disk: LocalCluster) -> None:
    assert not replace(cluster_on_disk, complete=False).running
