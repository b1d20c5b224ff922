"""What the tests of the local cluster share: options, questions to servers, and a command that may be killed."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from cluster.local.options import Options
from cluster.local.processes import Identity, marked
from cluster.local.state import STATE, TOKEN, LocalCluster, Member, save_cluster
from tests.ports import free_ports


def small(**values: object) -> Options:
    """One slot per node, on ports that nobody uses."""
    ray, dashboard, mlflow = free_ports(3)
    ports = {"ray_port": ray, "dashboard_port": dashboard, "mlflow_port": mlflow}
    return Options(**{"nodes": 2, "cpus": 1, **ports, **values})  # type: ignore[arg-type]


def as_words(options: Options) -> list[str]:
    """The same on a command line."""
    names = ("nodes", "cpus", "ray_port", "dashboard_port", "mlflow_port")
    return [word for name in names for word in (f"--{name.replace('_', '-')}", str(getattr(options, name)))]


def listening(mark: str) -> Iterator[tuple[psutil.Process, str, int]]:
    """Process, address and port of everything in a cluster that waits for connections."""
    for process in marked(mark):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                yield process, connection.laddr.ip, connection.laddr.port


def joining(cluster: LocalCluster) -> dict[str, str]:
    """The environment of a process that works with the cluster."""
    return {**os.environ, **cluster.environment(), "OMP_NUM_THREADS": "1"}


def assert_nothing_is_left(cluster: LocalCluster) -> None:
    assert marked(cluster.mark) == []
    assert not Path(cluster.sockets).exists()
    assert not (cluster.folder / STATE).exists()
    assert not (cluster.folder / TOKEN).exists()


def ended_cluster(folder: Path) -> LocalCluster:
    """The state of a cluster that a reboot has ended."""
    folder.mkdir(parents=True)
    gone = Identity(os.getpid(), 1.0)
    cluster = LocalCluster(
        folder=folder,
        mark="of a former life",
        host="127.0.0.1",
        ray_port=1,
        dashboard_port=2,
        mlflow_port=3,
        cpus=1,
        sockets=str(folder / "sockets"),
        versions={},
        started="yesterday",
        members=tuple(Member(name, gone) for name in ("mlflow", "head", "node-1")),
        complete=True,
    )
    save_cluster(cluster)
    return cluster
