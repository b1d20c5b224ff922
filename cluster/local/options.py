"""What a local cluster is to be, and the proof that it can be started, before anything is."""

from __future__ import annotations

import ipaddress
import os
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

import pyarrow as pa

from cluster.local.state import LOOPBACK, ClusterError
from cluster.storage import prove_writable
from dclf.data.storage import Folder, is_remote, trouble_with
from dclf.errors import UsageError
from dclf.uris import secret_problem, sqlite_path, without_secret

PORTS = {"ray_port": 6379, "dashboard_port": 8265, "mlflow_port": 5000}
"""Where the servers listen by default, and from where on a free port is looked for."""
_UNASSIGNED = range(20000, 32768)
"""Ray gives its workers ports up to 19999, Linux its connections ports from 32768 on."""
TRIED_PORTS = 100
DRIVERS = {"postgresql": "psycopg", "postgres": "psycopg"}
"""Database -> the package that MLflow's server reaches it with; others are left to MLflow to check."""
CLIENTS = {"s3": ("boto3", "boto3"), "gs": ("google.cloud.storage", "google-cloud-storage")}
"""Store -> the module, and the package with it, that MLflow's server reaches it with; others are left to MLflow."""


class OptionsError(UsageError, ClusterError, ValueError):
    """A local cluster cannot be as it was asked for."""


@dataclass(frozen=True)
class Options:
    """What ``dclf cluster up`` was asked for.

    Attributes:
        nodes: Ray nodes, the head among them.
        cpus: CPU slots of each node; more in all than the machine has is allowed.
        host: IP address of this machine to listen on.
        ray_port: 0 for the first free one from Ray's own default on; so are the others.
        dashboard_port: of the dashboard with the Jobs API.
        mlflow_port: of the MLflow server.
        mlflow_backend: database of the runs, such as postgresql://me@host/runs; an SQLite file in the folder where
            empty. May hold a password.
        artifacts: folder or URI that the MLflow server keeps artifacts in; a folder of the cluster's where empty.
    """

    nodes: int = 2
    cpus: int = 2
    host: str = LOOPBACK
    ray_port: int = 0
    dashboard_port: int = 0
    mlflow_port: int = 0
    mlflow_backend: str = ""
    artifacts: str = ""

    def problems(self) -> list[str]:
        """Everything that is impossible in itself, one sentence each."""
        counts = {"nodes": self.nodes, "cpus": self.cpus}
        problems = [f"--{name}: must be at least 1, is {value}" for name, value in counts.items() if value < 1]
        ports = {"ray-port": self.ray_port, "dashboard-port": self.dashboard_port, "mlflow-port": self.mlflow_port}
        problems += [
            f"--{name}: must be between 1024 and 65535, or 0 for any, is {port}"
            for name, port in ports.items()
            if port and not 1024 <= port <= 65535
        ]
        numbers = [port for port in ports.values() if port]
        if len(set(numbers)) < len(numbers):
            problems.append("--ray-port, --dashboard-port and --mlflow-port: must differ")
        problems += [*_host_problems(self.host), *_backend_problems(self.mlflow_backend)]
        return [*problems, *_artifacts_problems(self.artifacts)]


def claim_ports(options: Options) -> dict[str, int]:
    """The port of each server: the one asked for, or the first free one from its default on.

    Raises:
        ClusterError: a port is in use.
    """
    ports = {name: getattr(options, name) for name in PORTS}
    claimed: dict[str, int] = {}
    for name, port in ports.items():
        others = {*claimed.values(), *(other for key, other in ports.items() if key != name)}
        candidates = [port] if port else range(PORTS[name], PORTS[name] + TRIED_PORTS)
        claimed[name] = _first_free(name, options.host, [number for number in candidates if number not in others])
    return claimed


def free_port(host: str) -> int:
    """Any free port that no connection takes before the server listens, and none of Ray's workers.

    Raises:
        ClusterError: none of those tried is free.
    """
    port = next((port for port in random.sample(_UNASSIGNED, TRIED_PORTS) if is_free(host, port)), None)
    if port is None:
        raise ClusterError(f"no free port found on {host} from {_UNASSIGNED.start} to {_UNASSIGNED.stop - 1}")
    return port


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def backend_uri(url: str) -> str:
    """The URL with the driver named, whichever SQLAlchemy would take by itself."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme in DRIVERS else url


def require_database(url: str) -> None:
    """See that PostgreSQL lets MLflow in, which itself would try for minutes; other databases are left to MLflow.

    Raises:
        ClusterError: it does not answer, or refuses user, password or database.
    """
    if url.partition("://")[0] not in DRIVERS:
        return
    import psycopg  # noqa: PLC0415 - an optional package

    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.Error as error:
        raise ClusterError(
            f"--mlflow-backend: the database cannot be used ({' '.join(str(error).split())}); check that it runs, the "
            "URL, and the password in MLFLOW_BACKEND_STORE_URI, PGPASSWORD or ~/.pgpass"
        ) from error


def require_artifacts(place: str) -> None:
    """See that the store for artifacts can be written with this process's credentials, which the server inherits.

    Raises:
        ClusterError: it cannot.
    """
    if not is_remote(place):
        return
    try:
        prove_writable(Folder.of(place))
    except (OSError, ValueError, pa.ArrowException) as error:
        where = without_secret(place)
        raise ClusterError(f"--artifacts: nothing can be kept at {where}: {trouble_with(error)}") from error


def without_password(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """The URL as it came from a command line; ``MLFLOW_BACKEND_STORE_URI`` where that is empty.

    Raises:
        OptionsError: it holds a password, which every user of this machine could read in the list of processes.
    """
    if urlsplit(url).password:
        raise OptionsError(
            "--mlflow-backend: must not hold a password, as a command line can be read by every user of this machine; "
            "put the whole URL into MLFLOW_BACKEND_STORE_URI, or the password into PGPASSWORD or ~/.pgpass"
        )
    return url or environment.get("MLFLOW_BACKEND_STORE_URI", "")


def _first_free(name: str, host: str, candidates: list[int]) -> int:
    port = next((port for port in candidates if is_free(host, port)), None)
    if port is None:
        which = f"port {candidates[0]} is" if len(candidates) == 1 else f"ports {candidates[0]} .. are all"
        raise ClusterError(
            f"--{name.replace('_', '-')}: {which} in use on {host}; give another, or 0 for the first free one"
        )
    return port


def _host_problems(host: str) -> list[str]:
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return [f"--host: must be an IPv4 address of this machine, is {host!r}"]
    if address.is_unspecified:
        return [f"--host: must be the address that the other machines reach this one by, is {host}"]
    if address.is_loopback and host != LOOPBACK:
        return [f"--host: must be {LOOPBACK} or an address on a network, is {host}"]
    return [] if is_free(host, 0) else [f"--host: must be an address of this machine, {host} is not"]


def _backend_problems(url: str) -> list[str]:
    if not url:
        return []
    scheme = url.partition("://")[0]
    if "://" not in url or scheme in ("file", "http", "https"):
        return ["--mlflow-backend: must be the URL of a database, as sqlite:///FILE or postgresql://USER@HOST/NAME"]
    try:
        sqlite_path(url)
    except ValueError as error:
        return [f"--mlflow-backend: {error}"]
    driver = DRIVERS.get(scheme.partition("+")[0])
    if driver and scheme in DRIVERS and find_spec(driver) is None:
        return [f"--mlflow-backend: {scheme} needs the package {driver}; pip install 'dclf[postgres]'"]
    return []


def _artifacts_problems(place: str) -> list[str]:
    if not is_remote(place):
        return []
    if problem := secret_problem(place):
        return [f"--artifacts: {problem}"]
    module, package = CLIENTS.get(place.partition("://")[0], ("", ""))
    if module and not _installed(module):
        return [f"--artifacts: MLflow's server needs the package {package} for it; pip install {package}"]
    return []


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it would be in
        return False
