"""What is known of a local cluster: a file in its folder that every command reads.

The file and the two secrets beside it are readable by their owner alone. The state never holds a secret itself.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cluster.local.processes import Identity
from cluster.proxies import without_proxy
from dclf.errors import UsageError, UserError
from dclf.whole_files import whole

FOLDER = Path("dclf-runs") / "cluster"
"""Where a local cluster keeps its state, logs, runs and artifacts unless told otherwise."""
STATE, TOKEN, PASSWORD = "cluster.json", "ray-token", "mlflow-password"
FORMAT = 1
LOOPBACK = "127.0.0.1"
ADMIN = "admin"
"""The one user of the MLflow server."""
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Has Ray take 127.0.0.1 as it stands; otherwise it puts this machine's address on the network in its place."""


class ClusterError(UserError, OSError):
    """A local cluster is not as a command needs it; the message says what to do."""


class ClusterFolderError(UsageError, ClusterError):
    """What was named as a local cluster's folder is none."""


@dataclass(frozen=True)
class Member:
    """A Ray node, or the MLflow server.

    Attributes:
        name: ``head``, ``node-1`` .., or ``mlflow``.
        process: the one that leads it.
    """

    name: str
    process: Identity


@dataclass(frozen=True)
class LocalCluster:
    """A local cluster as its state file has it, whether or not it still runs.

    Attributes:
        folder: of the cluster, absolute.
        mark: in the environment of all its processes.
        host: address that its servers listen on.
        ray_port: of Ray's control store (GCS).
        dashboard_port: of the dashboard with the Jobs API.
        mlflow_port: of the MLflow server.
        cpus: CPU slots of each node.
        sockets: private folder on a short path, in which Ray's folder with its sockets and logs lies.
        versions: of dclf, python, ray and mlflow.
        members: nodes and server, in the order of their start.
        complete: False while it is being started.
        started: when, in ISO 8601 with the zone.
    """

    folder: Path
    mark: str
    host: str
    ray_port: int
    dashboard_port: int
    mlflow_port: int
    cpus: int
    sockets: str
    versions: dict[str, str]
    started: str
    members: tuple[Member, ...] = field(default=())
    complete: bool = False

    @property
    def ray_address(self) -> str:
        """``host:port``, as ``ray.init`` and RAY_ADDRESS take it; needs ``environment()`` beside it."""
        return f"{self.host}:{self.ray_port}"

    @property
    def jobs_address(self) -> str:
        """URL of the dashboard and of the Jobs API."""
        return f"http://{self.host}:{self.dashboard_port}"

    @property
    def mlflow_uri(self) -> str:
        """URL of the MLflow server, for its UI and as a tracking URI; without user and password."""
        return f"http://{self.host}:{self.mlflow_port}"

    @property
    def ray_folder(self) -> Path:
        """Ray's own folder, for its sockets, logs and spilled data."""
        return Path(self.sockets) / "ray"

    @property
    def token(self) -> str:
        """Ray's token; ClusterError where its file is gone."""
        return self._secret(TOKEN)

    @property
    def mlflow_password(self) -> str:
        """Password of the user ``admin``; ClusterError where its file is gone."""
        return self._secret(PASSWORD)

    @property
    def running(self) -> bool:
        """Whether it was started in full, and has its head and its server; a lost worker node costs only itself."""
        vital = [member for member in self.members if member.name in ("head", "mlflow")]
        return self.complete and len(vital) == 2 and all(member.process.alive for member in vital)

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to be let in, by Ray, the Jobs API and MLflow.

        It holds secrets: hand it to a process, never to a command line, a log or Ray's ``runtime_env``. Processes of
        the cluster, so every job, have it already. Ray reads it when it is imported, so it must be set before. Of
        this process's environment it holds NO_PROXY, with the cluster's host added.
        """
        ray = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        mlflow = {
            "MLFLOW_TRACKING_URI": self.mlflow_uri,
            "MLFLOW_TRACKING_USERNAME": ADMIN,
            "MLFLOW_TRACKING_PASSWORD": self.mlflow_password,
        }
        return {**(LOOPBACK_ONLY if self.host == LOOPBACK else {}), **ray, **mlflow, **without_proxy(self.host)}

    def with_member(self, name: str, pid: int) -> LocalCluster:
        """The cluster with one more process; ProcessLookupError where that has ended."""
        return replace(self, members=(*self.members, Member(name, Identity.of(pid))))

    def _secret(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError as error:
            raise ClusterError(
                f"{self.folder / name}: must hold a secret of the cluster, is absent; `dclf cluster down` and "
                "`dclf cluster up` make a new one"
            ) from error


def load_cluster(folder: str | Path = FOLDER) -> LocalCluster | None:
    """The cluster whose state is in a folder; None where there is none. It may have ended: see ``running``.

    Raises:
        ClusterFolderError: it is a file.
        ClusterError: the state file cannot be understood.
    """
    path = Path(folder).absolute() / STATE
    try:
        return _read(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise ClusterFolderError(f"{path.parent}: must be the folder of a local cluster, is a file") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClusterError(
            f"{path}: must be the state of a local cluster, cannot be read ({error}); end that cluster with the "
            "version of dclf that started it, or delete the file where none runs"
        ) from error


def _read(path: Path) -> LocalCluster:
    stored = json.loads(path.read_text(encoding="utf-8"))
    if (version := stored.pop("format")) != FORMAT:
        raise ValueError(f"its format is {version}, not {FORMAT}")
    members = tuple(Member(item["name"], Identity(**item["process"])) for item in stored.pop("members"))
    return LocalCluster(folder=path.parent, members=members, **stored)


def running_cluster(folder: str | Path = FOLDER) -> LocalCluster:
    """The cluster of a folder, which runs.

    Raises:
        ClusterError: there is none, or it has ended.
    """
    cluster = load_cluster(folder)
    if cluster is None:
        raise ClusterError(f"{folder}: no local cluster is up there; start one with `dclf cluster up`")
    if not cluster.running:
        raise ClusterError(
            f"{folder}: the local cluster of {cluster.started} no longer runs as a whole; clear it away with "
            "`dclf cluster down`, then `dclf cluster up`"
        )
    return cluster


def save_cluster(cluster: LocalCluster) -> None:
    """Write the state file; a reader sees the old one or the new one, never half of one."""
    stored: dict[str, Any] = asdict(cluster) | {"format": FORMAT}
    del stored["folder"]
    write_private(cluster.folder / STATE, json.dumps(stored, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    with (
        whole(path) as draft,
        os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file,
    ):
        file.write(text)
