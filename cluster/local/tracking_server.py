"""The MLflow server of a local cluster: how it is started, and its one user.

It is started here rather than in the layer that talks to MLflow, as nodes and server go up and down together and the
nodes' environment names it. Nothing of MLflow is imported: it is a command line and two addresses.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from cluster.local.endpoints import answers, fetch_json, refuses_strangers
from cluster.local.options import Options, backend_uri
from cluster.local.processes import MARK
from cluster.local.state import ADMIN, LOOPBACK, PASSWORD, LocalCluster, write_private
from cluster.proxies import without_proxy
from dclf.uris import file_uri, sqlite_uri

USERS = "mlflow-users.db"
SETTINGS = "mlflow-auth.ini"
SERVER = "mlflow"
_GUARDED = "/api/2.0/mlflow/experiments/get?experiment_id=0"
_REMEMBERED_S = 300
"""How long the server remembers that a password was right; checking its hash takes longer than a write to the store.

It runs as a single worker, so a changed password counts at once."""
_FOREIGN = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def ensure_user(folder: Path) -> None:
    """See that there is a password, and that the server will take it.

    It outlives the cluster, as runs and users do: MLflow makes its administrator once. Where one of the two files is
    lost, the other is of no use.
    """
    password, users = folder / PASSWORD, folder / USERS
    if not (password.is_file() and users.is_file()):
        users.unlink(missing_ok=True)
        write_private(password, f"{secrets.token_urlsafe(24)}\n")
    lines = [
        "[mlflow]",
        "default_permission = NO_PERMISSIONS",
        f"database_uri = {_escaped(sqlite_uri(users))}",
        f"admin_username = {ADMIN}",
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth",
        f"auth_cache_ttl_seconds = {_REMEMBERED_S}",
    ]
    write_private(folder / SETTINGS, "\n".join(lines) + "\n")


def server_command(cluster: LocalCluster, options: Options) -> list[str]:
    """Serve runs and artifacts. The database's URL comes by the environment, as it may hold a password."""
    place = options.artifacts or str(cluster.folder / "artifacts")
    if "://" not in place:  # MLflow would resolve %41 in a path as it does in a URI
        place = file_uri(Path(place))
    listen = ["--host", cluster.host, "--port", str(cluster.mlflow_port), "--workers", "1"]
    if cluster.host != LOOPBACK:
        listen += ["--allowed-hosts", f"{cluster.host}:*,localhost:*,{LOOPBACK}:*"]
    artifacts = ["--serve-artifacts", "--artifacts-destination", place]
    return [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", *listen, *artifacts]


def server_environment(cluster: LocalCluster, options: Options) -> dict[str, str]:
    """What the server runs in; the secrets are here and nowhere in its command line."""
    inherited = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    own = {
        MARK: cluster.mark,
        "MLFLOW_BACKEND_STORE_URI": backend_uri(options.mlflow_backend) or sqlite_uri(cluster.folder / "mlflow.db"),
        "MLFLOW_AUTH_CONFIG_PATH": str(cluster.folder / SETTINGS),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": cluster.mlflow_password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",  # no folder of the user's is taken for one of its modules
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return {**inherited, **without_proxy(cluster.host), **own}


def is_healthy(cluster: LocalCluster) -> bool:
    """Whether it answers, to its user only, and has its database."""
    if not (answers(f"{cluster.mlflow_uri}/health") and refuses_strangers(f"{cluster.mlflow_uri}{_GUARDED}")):
        return False
    try:
        fetch_json(f"{cluster.mlflow_uri}{_GUARDED}", user=ADMIN, password=cluster.mlflow_password)
    except OSError:
        return False
    return True


def _escaped(uri: str) -> str:
    """As an INI file wants it."""
    return uri.replace("%", "%%")
