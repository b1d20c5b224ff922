"""Where runs are kept: which tracking URI counts, whether it answers, and the experiment in it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tune.tracking.manners import manners
from tune.tracking.redact import without_secrets

RUNS_FOLDER = "dclf-runs"
"""Where the local store, checkpoints and unsent writes go unless the configuration says otherwise."""

_DATABASES = ("postgresql", "mysql", "mssql")
_SUPPORTED = "sqlite:///FILE, http(s)://HOST:PORT, postgresql://, mysql://, mssql:// or databricks"
Result = TypeVar("Result")


class TrackingError(OSError):
    """The tracking store cannot be used; the message names it, the cause and the remedy."""


@dataclass(frozen=True)
class Store:
    """An open tracking store.

    Attributes:
        uri: as MLflow takes it; may hold a password, so never show it: ``name`` is for that.
        client: an ``mlflow.MlflowClient`` bound to it; MLflow's global tracking URI is not touched.
        experiment: the experiment's name.
        experiment_id: its id in the store.
    """

    uri: str
    client: Any
    experiment: str
    experiment_id: str

    @property
    def name(self) -> str:
        """The URI without user name and password."""
        return without_secrets(self.uri)


def resolve_tracking_uri(configured: str = "") -> str:
    """The store to use: what the configuration says, then MLFLOW_TRACKING_URI, then SQLite in ``dclf-runs``.

    A relative SQLite path becomes absolute, so that a later change of folder does not open another store.
    """
    uri = configured or os.environ.get("MLFLOW_TRACKING_URI", "") or f"sqlite:///{RUNS_FOLDER}/mlflow.db"
    path = sqlite_path(uri)
    return uri if path is None else f"sqlite:///{path}"


def sqlite_path(uri: str) -> Path | None:
    """The absolute path of an SQLite URI's file; None for any other URI."""
    if not uri.startswith("sqlite:"):
        return None
    if not uri.startswith("sqlite:///") or uri in ("sqlite:///", "sqlite:///:memory:"):
        raise TrackingError(f"tracking URI {uri}: must name a file, as in sqlite:///{RUNS_FOLDER}/mlflow.db")
    return Path(uri.removeprefix("sqlite:///")).absolute()


def artifact_root(uri: str) -> str | None:
    """Where a new experiment's artifacts go: beside an SQLite file, ``dclf-runs`` for a bare database.

    None for a server, which decides itself.
    """
    path = sqlite_path(uri)
    if path is not None:
        return (path.parent / "artifacts").as_uri()
    if _scheme(uri) in _DATABASES:
        return (Path(RUNS_FOLDER) / "artifacts").absolute().as_uri()
    return None


def connect(uri: str, experiment: str, timeout_s: float = 5.0) -> Store:
    """Open the store and the experiment in it, creating what is absent.

    A fresh SQLite file costs about two seconds; call this in a thread while something else starts up.

    Args:
        uri: from ``resolve_tracking_uri``.
        experiment: name of the experiment.
        timeout_s: how long a server may take to answer.

    Raises:
        TrackingError: the store does not answer, cannot hold runs, or has a deleted experiment of that name.
    """
    client = open_client(uri, timeout_s)
    with _explained(uri), manners() as mlflow:
        found = within(timeout_s, uri, lambda: client.get_experiment_by_name(experiment))
        if found is None:
            found = _create_experiment(mlflow, client, uri, experiment)
    if found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"MLflow store {without_secrets(uri)}: the experiment name {experiment!r} is taken by a deleted "
            f"experiment; choose another track.experiment, or bring it back with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )
    return Store(uri=uri, client=client, experiment=experiment, experiment_id=found.experiment_id)


def open_client(uri: str, timeout_s: float = 5.0) -> Any:
    """An ``mlflow.MlflowClient`` for a store that answers; creates an SQLite file that is not there.

    Raises:
        TrackingError: the store does not answer or is of a kind that MLflow no longer takes.
    """
    _refuse_unsupported(uri)
    path = sqlite_path(uri)
    with _explained(uri), manners() as mlflow:
        if path is not None:
            return _open_sqlite(mlflow, path, uri)
        within(timeout_s, uri, _probe(mlflow, uri, timeout_s))
        return mlflow.MlflowClient(tracking_uri=uri)


def within(timeout_s: float, uri: str, work: Callable[[], Result]) -> Result:
    """Do the work in a thread and give up waiting after the timeout: name look-ups and drivers have none of their own.

    Raises:
        TrackingError: no answer in time.
    """
    outcome: list[Result | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True, name="dclf-tracking-probe")
    thread.start()
    thread.join(timeout_s)
    if not outcome:
        raise TrackingError(_unreachable(uri, f"no answer within {timeout_s:g} s"))
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _create_experiment(mlflow: Any, client: Any, uri: str, experiment: str) -> Any:
    root = artifact_root(uri)
    try:
        client.create_experiment(experiment, artifact_location=root and f"{root}/{_folder_name(experiment)}")
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another run was faster
            raise
    return client.get_experiment_by_name(experiment)


def _folder_name(experiment: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in experiment).strip(".") or "experiment"


def _scheme(uri: str) -> str:
    return "databricks" if uri == "databricks" else urlsplit(uri).scheme.split("+")[0]


def _refuse_unsupported(uri: str) -> None:
    scheme = _scheme(uri)
    if scheme in ("", "file"):
        path = urlsplit(uri).path if scheme else uri
        raise TrackingError(
            f"tracking URI {uri}: MLflow no longer keeps runs in plain folders; use an SQLite file there instead: "
            f"sqlite:///{Path(path).absolute() / 'mlflow.db'}"
        )
    if scheme not in ("http", "https", "sqlite", "databricks", *_DATABASES):
        raise TrackingError(f"tracking URI {without_secrets(uri)}: must be {_SUPPORTED}")


def _open_sqlite(mlflow: Any, path: Path, uri: str) -> Any:
    """Two processes must not create the tables of one file at once, which MLflow does not prevent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _ask_sqlite(path)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return mlflow.MlflowClient(tracking_uri=uri)


def _ask_sqlite(path: Path) -> None:
    """Take the write lock for a moment: MLflow would retry a file it cannot open for a hundred seconds."""
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT count(*) FROM sqlite_master")
        connection.rollback()


def _probe(mlflow: Any, uri: str, timeout_s: float) -> Callable[[], object]:
    """One small question to the store, without MLflow's patience."""
    scheme = _scheme(uri)
    if scheme in ("http", "https"):
        return lambda: _ask_server(mlflow, uri, timeout_s)
    if scheme in _DATABASES:
        return lambda: _ask_database(uri)
    return lambda: mlflow.MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def _ask_server(mlflow: Any, uri: str, timeout_s: float) -> None:
    rest = mlflow.utils.rest_utils
    credentials = mlflow.utils.credentials.get_default_host_creds(uri)
    endpoint = "/api/2.0/mlflow/experiments/search"
    answer = rest.http_request(
        credentials, endpoint, "GET", timeout=timeout_s, max_retries=0, params={"max_results": 1}, raise_on_status=False
    )
    rest.verify_rest_response(answer, endpoint)
    answer.json()


def _ask_database(uri: str) -> None:
    from sqlalchemy import create_engine  # noqa: PLC0415 - comes with MLflow and is as slow to import

    try:
        engine = create_engine(uri)
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"MLflow store {without_secrets(uri)}: needs its database driver, {error.name}; pip install it"
        ) from None
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Whatever a store raises leaves as a TrackingError without passwords in it."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:  # noqa: BLE001 - MLflow raises what its backends raise
        raise TrackingError(_unreachable(uri, cause_of(error))) from None


def cause_of(error: BaseException) -> str:
    """Why it failed in one line, without passwords: the operating system's own words where they are at the root."""
    root = error
    while (deeper := root.__cause__ or root.__context__) is not None:
        root = deeper
    if isinstance(root, OSError) and root.strerror:
        return without_secrets(root.strerror)
    text = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return without_secrets(text)[:300]


def _unreachable(uri: str, cause: str) -> str:
    name = without_secrets(uri)
    if uri.startswith("sqlite:"):
        return f"MLflow store {name} cannot be opened ({cause}); check the path in track.uri and that it is writable"
    return (
        f"MLflow at {name} cannot be used ({cause}); check track.uri or MLFLOW_TRACKING_URI, start the server, or "
        f"take the local store with track.uri=sqlite:///{RUNS_FOLDER}/mlflow.db"
    )
