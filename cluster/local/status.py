"""How a local cluster is: which of its nodes are there, and whether its servers answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.local.nodes import known_nodes
from cluster.local.state import LocalCluster
from cluster.local.tracking_server import SERVER, is_healthy


@dataclass(frozen=True)
class NodeStatus:
    """One Ray node.

    Attributes:
        name: ``head``, ``node-1`` ..
        state: ``alive``, ``lost`` where its process has ended or Ray holds it for dead, ``unknown`` where its process
            is there and Ray says nothing of it.
        cpus: its slots.
        pid: of the process that leads it.
    """

    name: str
    state: str
    cpus: int
    pid: int


@dataclass(frozen=True)
class Status:
    """What ``dclf cluster status`` found.

    Attributes:
        nodes: in the order of their start.
        dashboard: whether dashboard and Jobs API answer.
        mlflow: whether the MLflow server answers, to its user only.
    """

    nodes: tuple[NodeStatus, ...]
    dashboard: bool
    mlflow: bool

    @property
    def whole(self) -> bool:
        """Whether everything that was started works."""
        return self.dashboard and self.mlflow and all(node.state == "alive" for node in self.nodes)


def status_of_cluster(cluster: LocalCluster) -> Status:
    """Ask the dashboard and the MLflow server, each for five seconds at most, and look at the processes."""
    ray_nodes = _ray_nodes(cluster)
    nodes = tuple(
        NodeStatus(member.name, _state(member.process.alive, member.name, ray_nodes), cluster.cpus, member.process.pid)
        for member in cluster.members
        if member.name != SERVER
    )
    return Status(nodes, dashboard=ray_nodes is not None, mlflow=is_healthy(cluster))


def _ray_nodes(cluster: LocalCluster) -> dict[str, Mapping[str, Any]] | None:
    try:
        return known_nodes(cluster)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _state(alive: bool, name: str, ray_nodes: dict[str, Mapping[str, Any]] | None) -> str:
    if not alive:
        return "lost"
    if ray_nodes is None or name not in ray_nodes:
        return "unknown"
    return "alive" if ray_nodes[name]["state"] == "ALIVE" else "lost"
