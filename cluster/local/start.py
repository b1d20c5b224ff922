"""Start a local cluster, whole or not at all."""

from __future__ import annotations

import logging
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cluster.local.endpoints import refuses_strangers
from cluster.local.folder import exclusive
from cluster.local.nodes import HEAD, has_agent, head_command, known_nodes, node_environment, worker_command
from cluster.local.options import (
    Options,
    OptionsError,
    claim_ports,
    free_port,
    is_free,
    require_artifacts,
    require_database,
)
from cluster.local.processes import ended, marked, start, tail
from cluster.local.state import FOLDER, TOKEN, ClusterError, LocalCluster, load_cluster, save_cluster, write_private
from cluster.local.stop import clear
from cluster.local.tracking_server import SERVER, ensure_user, is_healthy, server_command, server_environment
from cluster.socket_folder import make_socket_folder

START_LIMIT_S = 180.0
"""How long nodes and server may take; 20 to 45 s on two cores."""
CHECK_S = 0.2
_log = logging.getLogger(__name__)


def up(options: Options, folder: str | Path = FOLDER) -> LocalCluster:
    """Start the nodes and the MLflow server, and return when all of them answer.

    Args:
        options: what to start.
        folder: of the cluster; made where it is absent, with what an earlier one recorded kept.

    Returns:
        The cluster, which goes on when this process ends. One that runs in the folder already is returned as it is.

    Raises:
        OptionsError: an option is impossible.
        ClusterError: a port is in use, another cluster's remains are in the way, or a node or the server does not
            start. Nothing is left behind then, nor after an interrupt.
    """
    if problems := options.problems():
        raise OptionsError("; ".join(problems))
    with exclusive(Path(folder).absolute()) as place:
        cluster = load_cluster(place)
        if cluster is not None and cluster.running:
            return cluster
        if cluster is not None:
            _clear_remains(cluster)
        return _start(options, place)


def _clear_remains(cluster: LocalCluster) -> None:
    """Forget a cluster of which nothing runs, as after a reboot; refuse where something does."""
    if left := marked(cluster.mark):
        raise ClusterError(
            f"{cluster.folder}: {len(left)} processes of the local cluster of {cluster.started} still run, but not the "
            "whole of it; clear it away with `dclf cluster down`, then start again"
        )
    _log.info(f"the local cluster of {cluster.started} has ended without `dclf cluster down`; clearing its state away")
    clear(cluster)


def _start(options: Options, folder: Path) -> LocalCluster:
    ports = claim_ports(options)
    require_database(options.mlflow_backend)
    require_artifacts(options.artifacts)
    ensure_user(folder)
    cluster = LocalCluster(
        folder=folder,
        mark=secrets.token_hex(16),
        host=options.host,
        cpus=options.cpus,
        sockets=make_socket_folder(),
        versions=_versions(),
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        ray_port=ports["ray_port"],
        dashboard_port=ports["dashboard_port"],
        mlflow_port=ports["mlflow_port"],
    )
    try:
        write_private(folder / TOKEN, f"{secrets.token_hex(32)}\n")
        save_cluster(cluster)  # before the first process, so that `down` finds all of them whatever happens
        return _Start(cluster, options).run()
    except BaseException:
        _log.info("taking down what was started")
        clear(load_cluster(folder) or cluster)  # the file knows what was started
        raise


class _Start:
    """One start of a cluster; it fails when a process ends before all of them answer."""

    def __init__(self, cluster: LocalCluster, options: Options) -> None:
        self._cluster = cluster
        self._options = options
        self._pids: dict[str, int] = {}
        self._end = time.monotonic() + START_LIMIT_S

    def run(self) -> LocalCluster:
        cluster, workers = self._cluster, [f"node-{number}" for number in range(1, self._options.nodes)]
        _log.info(f"starting the MLflow server at {cluster.mlflow_uri}")
        self._launch(SERVER, server_command(cluster, self._options), server_environment(cluster, self._options))
        _log.info(f"starting {self._options.nodes} Ray nodes at {cluster.ray_address}")
        environment = node_environment(cluster)
        self._launch(HEAD, head_command(cluster, free_port(cluster.host)), environment)
        self._wait("the head's control store", lambda: not is_free(cluster.host, cluster.ray_port))
        for name in workers:
            self._launch(name, worker_command(cluster, name), environment)
        self._wait("the dashboard, which knows every node", lambda: self._all_ready([HEAD, *workers]))
        self._wait("the MLflow server", lambda: is_healthy(cluster))
        self._require_guard()
        self._cluster = replace(self._cluster, complete=True)
        save_cluster(self._cluster)
        return self._cluster

    def _launch(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self._pids[name] = pid = start(command, environment, self._log(name))
        self._cluster = self._cluster.with_member(name, pid)
        save_cluster(self._cluster)

    def _wait(self, what: str, holds: Callable[[], bool]) -> None:
        while not holds():
            self._require_alive()
            if time.monotonic() > self._end:
                raise ClusterError(
                    f"{what} did not answer within {START_LIMIT_S:.0f} s; is the machine very busy? "
                    f"The logs end so:\n{self._all_tails()}"
                )
            time.sleep(CHECK_S)
        self._require_alive()

    def _require_alive(self) -> None:
        for name, pid in self._pids.items():
            if (code := ended(pid)) is not None:
                raise ClusterError(
                    f"{name} ended with code {code} while it was being started; its log {self._log(name)} ends so:\n"
                    f"{self._tail(name)}"
                )

    def _all_ready(self, names: list[str]) -> bool:
        try:
            ray_nodes = known_nodes(self._cluster)
        except (OSError, ValueError, LookupError, TypeError):  # not yet, or not yet whole
            return False
        nodes = [ray_nodes[name] for name in names if name in ray_nodes and ray_nodes[name]["state"] == "ALIVE"]
        return len(nodes) == len(names) and all(has_agent(self._cluster, node) for node in nodes)

    def _require_guard(self) -> None:
        """An open Jobs API would run anything for anybody on this machine."""
        if not refuses_strangers(f"{self._cluster.jobs_address}/api/jobs/"):
            raise ClusterError(
                f"{self._cluster.jobs_address}: must refuse who brings no token, does not; is RAY_AUTH_MODE overridden?"
            )

    def _log(self, name: str) -> Path:
        return self._cluster.folder / "logs" / f"{name}.log"

    def _tail(self, name: str) -> str:
        text = tail(self._log(name))
        for secret in _secrets(self._cluster, self._options):
            text = text.replace(secret, "***")
        return text

    def _all_tails(self) -> str:
        return "\n".join(f"{name}: {self._tail(name)}" for name in self._pids)


def _versions() -> dict[str, str]:
    return {"python": sys.version.split()[0], **{name: version(name) for name in ("dclf", "ray", "mlflow")}}


def _secrets(cluster: LocalCluster, options: Options) -> list[str]:
    """Return the secrets, which no message may show."""
    quoted = urlsplit(options.mlflow_backend).password or ""
    values = [cluster.token, cluster.mlflow_password, quoted, unquote(quoted)]
    return [secret for secret in values if secret]
