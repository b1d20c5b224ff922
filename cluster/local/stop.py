"""End a local cluster and take its traces away; runs, artifacts and logs stay."""

from __future__ import annotations

import shutil
from pathlib import Path

from cluster.local.folder import exclusive
from cluster.local.processes import end_all
from cluster.local.state import FOLDER, STATE, TOKEN, ClusterError, LocalCluster, load_cluster

RAY_LOGS = Path("logs") / "ray"
"""Where the logs of the last cluster's nodes and jobs stay, in its folder."""


def down(folder: str | Path = FOLDER) -> LocalCluster | None:
    """End the nodes and the MLflow server of a folder, with all jobs on them, by their ids.

    Returns:
        The cluster that was there, also one that had died already; None where there was none.

    Raises:
        ClusterError: another command is at work in the folder, its state cannot be read, or a process cannot be ended.
    """
    place = Path(folder).absolute()
    if load_cluster(place) is None:
        return None
    with exclusive(place):
        cluster = load_cluster(place)  # another `down` may have been faster
        if cluster is not None:
            clear(cluster)
        return cluster


def clear(cluster: LocalCluster) -> None:
    """End what still runs and remove state, token and sockets; the state last, so that this can be done again.

    The folder has to be held (``exclusive``).

    Raises:
        ClusterError: a process cannot be ended; what is known of the cluster stays.
    """
    if running := end_all([member.process for member in reversed(cluster.members)], cluster.mark):
        raise ClusterError(
            f"{cluster.folder}: processes {', '.join(map(str, running))} of the local cluster cannot be ended, though "
            "they were killed; they may wait for a disk or a network that is gone, or belong to another user: see to "
            "that, then `dclf cluster down` again"
        )
    _keep_logs(cluster)
    shutil.rmtree(cluster.sockets, ignore_errors=True)
    (cluster.folder / TOKEN).unlink(missing_ok=True)
    (cluster.folder / STATE).unlink(missing_ok=True)


def _keep_logs(cluster: LocalCluster) -> None:
    written = cluster.ray_folder / "session_latest" / "logs"
    if written.is_dir():
        logs = cluster.folder / RAY_LOGS
        shutil.rmtree(logs, ignore_errors=True)
        logs.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(written.resolve(), logs)
