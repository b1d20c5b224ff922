"""The folder of a cluster that is not there any more, or is being changed by somebody else."""

import errno
import logging
import socket
import sys
from pathlib import Path

import pytest

from cluster.local.folder import exclusive
from cluster.local.options import Options
from cluster.local.processes import MARK, end_all, marked, start
from cluster.local.start import up
from cluster.local.state import ClusterError, LocalCluster, load_cluster
from cluster.local.stop import down
from tests.cluster.local.support import assert_nothing_is_left, ended_cluster, small
from tests.tune.tracking.server import wait_until
from tune.commands.main import main

Streams = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cluster"


def test_a_state_from_before_a_reboot_is_cleared_away(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    ended_cluster(folder)
    caplog.set_level(logging.INFO, "cluster")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(ClusterError, match="in use"):  # further than this it need not go
            up(Options(mlflow_port=listener.getsockname()[1]), folder)
    assert caplog.messages == [
        "the local cluster of yesterday has ended without `dclf cluster down`; clearing its state away"
    ]
    assert load_cluster(folder) is None


def test_a_dead_cluster_is_reported_and_taken_down(folder: Path, capsys: Streams) -> None:
    cluster = ended_cluster(folder)
    assert main(["cluster", "status", "--folder", str(folder)]) == 1
    output = capsys.readouterr()
    assert "head       1 CPUs, lost" in output.out
    assert "DOES NOT ANSWER" in output.out
    assert "`dclf cluster down`, then `dclf cluster up`" in output.err
    assert down(folder) == cluster
    assert_nothing_is_left(cluster)


def test_no_cluster_is_no_trouble_for_down_and_one_for_status(folder: Path, capsys: Streams) -> None:
    assert main(["cluster", "down", "--folder", str(folder)]) == 0
    assert main(["cluster", "status", "--folder", str(folder)]) == 1
    assert "start one with `dclf cluster up`" in capsys.readouterr().err
    assert not folder.exists()


def test_one_command_at_a_time(folder: Path) -> None:
    ended_cluster(folder)
    with exclusive(folder):
        for command in (lambda: up(small(), folder), lambda: down(folder)):
            with pytest.raises(ClusterError, match="another `dclf cluster up` or `down` is at work there"):
                command()


def test_a_start_that_cannot_keep_its_state_leaves_neither_token_nor_sockets(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters: list[LocalCluster] = []

    def full(cluster: LocalCluster) -> None:
        clusters.append(cluster)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cluster.local.start.save_cluster", full)
    with pytest.raises(OSError, match="No space left"):
        up(small(), folder)
    assert_nothing_is_left(clusters[0])


def test_a_process_that_cannot_be_ended_is_named_and_can_be_taken_down_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = ended_cluster(folder)
    pid = start([sys.executable, "-c", "import signal; signal.pause()"], {MARK: cluster.mark}, folder / "log")
    try:
        wait_until(lambda: [process.pid for process in marked(cluster.mark)] == [pid], 10)
        with monkeypatch.context() as deaf:
            # What waits for a broken disk hears no signal, not even this one.
            deaf.setattr("cluster.local.processes._signal", lambda process, *, kill: None)  # noqa: ARG005
            deaf.setattr("cluster.local.processes.KILL_LIMIT_S", 0)
            deaf.setattr("cluster.local.processes.KILL_WAIT_S", 0.1)
            with pytest.raises(ClusterError, match=rf"processes {pid} of the local cluster cannot be ended"):
                down(folder)
        assert load_cluster(folder) == cluster
        assert down(folder) == cluster
        assert_nothing_is_left(cluster)
    finally:
        end_all([], cluster.mark)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClusterError, match="--folder: must be a folder that can be written to"):
        up(small(), tmp_path / "file" / "cluster")
