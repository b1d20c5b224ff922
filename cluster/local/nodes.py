"""The Ray nodes of a local cluster: how they are started, and what the dashboard says of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.local.endpoints import fetch_json
from cluster.local.options import free_port
from cluster.local.processes import MARK
from cluster.local.state import LOOPBACK, TOKEN, LocalCluster

OBJECT_STORE_BYTES = 256 << 20
"""Shared memory of each node: the blocks of a few data streams."""
HEAD = "head"
_NO_METRICS = {"DASHBOARD_METRIC_PORT": "-1", "RAY_enable_metrics_collection": "false"}
"""Keeps dashboard and agents from serving load figures for Prometheus, which Ray does without asking for the token."""
_FOREIGN = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_NAMESPACE", "MLFLOW_TRACKING_TOKEN")
"""Of another cluster, if the user works with one: they must not reach this one's nodes."""


def node_environment(cluster: LocalCluster) -> dict[str, str]:
    """What the nodes run in, and with them every job: this process's environment and the keys to the cluster.

    The token is named by its file, which only its owner can read; MLflow knows no such file. A job that calls
    ``python`` or ``dclf`` gets those of this environment.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    keys = {key: value for key, value in cluster.environment().items() if key != "RAY_AUTH_TOKEN"}
    programs = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    own = {MARK: cluster.mark, "RAY_AUTH_TOKEN_PATH": str(cluster.folder / TOKEN), "RAY_USAGE_STATS_ENABLED": "0"}
    # Ray's own watchers would ask the latest Ray of this machine, which may be another one.
    own["RAY_API_SERVER_ADDRESS"] = cluster.jobs_address
    return {**inherited, **keys, **own, **_NO_METRICS, "PATH": programs}


def head_command(cluster: LocalCluster, client_port: int) -> list[str]:
    """Start the first node, with the control store, the dashboard and the Jobs API.

    It has no autoscaler, which would have nothing to start here and would serve its figures to everybody.
    """
    ports = ["--port", cluster.ray_port, "--dashboard-port", cluster.dashboard_port]
    return _command(
        cluster,
        HEAD,
        *["--head", "--no-monitor", "--include-dashboard", "true", "--dashboard-host", cluster.host],
        *[*ports, "--ray-client-server-port", client_port],
    )


def worker_command(cluster: LocalCluster, name: str) -> list[str]:
    """Start a further node. GPUs belong to the head: each node would otherwise offer all of the machine's."""
    return _command(cluster, name, "--address", cluster.ray_address, "--num-gpus", 0)


def known_nodes(cluster: LocalCluster) -> dict[str, Mapping[str, Any]]:
    """What Ray says of each node by name: ``state`` is ALIVE or DEAD; OSError where the dashboard does not answer.

    Of two nodes with one name, as after a restart, the living one counts.
    """
    answer = fetch_json(f"{cluster.jobs_address}/api/v0/nodes", bearer=cluster.token)
    nodes: list[Mapping[str, Any]] = answer["data"]["result"]["result"]
    return {str(node["node_name"]): node for node in sorted(nodes, key=lambda node: bool(node["state"] == "ALIVE"))}


def has_agent(cluster: LocalCluster, node: Mapping[str, Any]) -> bool:
    """Whether a node's agent answers, without which it takes no jobs; it starts seconds after the node is known."""
    query = f"node_id={node['node_id']}&glob=none&timeout=3"
    try:
        return bool(fetch_json(f"{cluster.jobs_address}/api/v0/logs?{query}", bearer=cluster.token)["result"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _command(cluster: LocalCluster, name: str, *own: object) -> list[str]:
    """With ``-P``, so that no folder of the user's is taken for one of the modules.

    The agent gets a port of its own: by default all nodes of a machine want the same, and all but one take no jobs.
    """
    module = "cluster.local.ray_node" if cluster.host == LOOPBACK else "ray.scripts.scripts"
    common = ["--node-name", name, "--node-ip-address", cluster.host, "--num-cpus", cluster.cpus]
    common += ["--dashboard-agent-listen-port", free_port(cluster.host)]
    limits = ["--object-store-memory", OBJECT_STORE_BYTES, "--temp-dir", cluster.ray_folder, "--disable-usage-stats"]
    words = [sys.executable, "-P", "-m", module, "start", "--block", *own, *common, *limits]
    return [str(word) for word in words]
