"""Open the store where runs are kept, and the experiment in it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dclf.uris import sqlite_uri
from tune.tracking.address import RUNS_FOLDER, artifact_root, refuse_unsupported, resolve_tracking_uri, sqlite_path
from tune.tracking.fresh import lay_out
from tune.tracking.manners import manners
from tune.tracking.probe import probe, probe_sqlite
from tune.tracking.redact import without_secrets
from tune.tracking.relocation import HOME_TAG, alone, folder_name, former_homes, mend_places
from tune.tracking.trouble import TrackingError, explained
from tune.tracking.view import offer_view, view_tags

__all__ = ["RUNS_FOLDER", "Store", "TrackingError", "connect", "open_client", "resolve_tracking_uri", "sqlite_path"]

_SHOW_AS_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""Has MLflow's UI open the experiment with its training views, not those for language models."""


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


def connect(uri: str, experiment: str, timeout_s: float = 5.0) -> Store:
    """Open the store and the experiment in it, creating what is absent.

    MLflow takes two seconds to import; call this in a thread while something else starts up.

    Args:
        uri: from ``resolve_tracking_uri``.
        experiment: name of the experiment.
        timeout_s: how long a server may take to answer.

    Raises:
        TrackingError: the store does not answer, cannot hold runs, or has a deleted experiment of that name.
    """
    client = open_client(uri, timeout_s)
    with explained(uri), manners() as mlflow:
        entry = client.get_experiment_by_name(experiment)
        if entry is None:
            entry = _create_experiment(mlflow, client, uri, experiment)
        if entry.lifecycle_stage == "active":
            offer_view(client, entry)
    if entry.lifecycle_stage == "deleted":
        raise TrackingError(
            f"MLflow store {without_secrets(uri)}: the experiment name {experiment!r} is taken by a deleted "
            f"experiment; choose another track.experiment, or bring it back with "
            f"`mlflow experiments restore --experiment-id {entry.experiment_id}`"
        )
    return Store(uri=uri, client=client, experiment=experiment, experiment_id=entry.experiment_id)


def open_client(uri: str, timeout_s: float = 5.0) -> Any:
    """An ``mlflow.MlflowClient`` for a store that answers; creates an SQLite file that is not there.

    Raises:
        TrackingError: the store does not answer, is of a kind that MLflow no longer takes, or was moved.
    """
    refuse_unsupported(uri)
    path = sqlite_path(uri)
    with explained(uri), manners() as mlflow:
        if path is not None:
            client = _open_sqlite(mlflow, path)
            if homes := former_homes(client, path.parent):
                raise TrackingError(f"MLflow store {uri}: {_moved(homes)}; mend it with: {mending(uri)}")
            return client
        probe(mlflow, uri, timeout_s)
        return mlflow.MlflowClient(tracking_uri=uri)


def move_problem(uri: str) -> str:
    """From where a store was moved or copied, with its runs' artifacts still looked for there; empty where it was not.

    Raises:
        TrackingError: the store does not answer.
    """
    path = sqlite_path(uri)
    if path is None or not path.exists():
        return ""
    with explained(uri), manners() as mlflow:
        homes = former_homes(_open_sqlite(mlflow, path), path.parent)
        return _moved(homes) if homes else ""


def mend_move(uri: str) -> None:
    """Have a store that was moved or copied name the artifacts that lie beside it now.

    Raises:
        TrackingError: they do not, or the file cannot be written.
    """
    path = sqlite_path(uri)
    assert path is not None, "only a file is moved"
    with explained(uri), manners() as mlflow:
        client = _open_sqlite(mlflow, path)
        with alone(path):
            mend_places(client, path, former_homes(client, path.parent))


def mending(uri: str) -> str:
    """The command that mends a store that was moved."""
    option = "" if uri == resolve_tracking_uri() else f" --uri {shlex.quote(uri)}"
    return f"dclf doctor --fix{option}"


def _moved(homes: list[Path]) -> str:
    places = " and ".join(str(home) for home in homes)
    return f"was moved or copied from {places}, where its runs' artifacts are still looked for and would be written"


def _create_experiment(mlflow: Any, client: Any, uri: str, experiment: str) -> Any:
    root = artifact_root(uri)
    try:
        place = root and f"{root}/{quote(folder_name(experiment))}"
        path = sqlite_path(uri)
        home = {} if path is None else {HOME_TAG: str(path.parent)}
        client.create_experiment(experiment, artifact_location=place, tags=_SHOW_AS_TRAINING | view_tags() | home)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another run was faster
            raise
    return client.get_experiment_by_name(experiment)


def _open_sqlite(mlflow: Any, path: Path) -> Any:
    """Open an SQLite file, one process at a time: MLflow lets two of them create its tables at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    probe_sqlite(path)
    with alone(path):
        lay_out(mlflow, path)
        return mlflow.MlflowClient(tracking_uri=sqlite_uri(path))
