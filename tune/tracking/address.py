"""Tracking URIs: which one counts, which kinds there are, and where artifacts go."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dclf import uris
from dclf.errors import UsageError
from dclf.uris import file_uri, sqlite_uri
from tune.tracking.redact import without_secrets
from tune.tracking.relocation import ARTIFACTS
from tune.tracking.trouble import TrackingError

RUNS_FOLDER = "dclf-runs"
"""Where the local store, checkpoints and unsent writes go unless the configuration says otherwise."""

DATABASES = ("postgresql", "mysql", "mssql")
"""Databases that MLflow writes to directly."""
_SUPPORTED = "sqlite:///FILE, http(s)://HOST:PORT, postgresql://, mysql://, mssql:// or databricks"


class TrackingAddressError(UsageError, TrackingError):
    """A tracking URI of a kind that there is not."""


def resolve_tracking_uri(configured: str = "") -> str:
    """The store to use: what the configuration says, then MLFLOW_TRACKING_URI, then SQLite in ``dclf-runs``.

    A relative SQLite path becomes absolute, so that a later change of folder does not open another store.
    """
    uri = configured or os.environ.get("MLFLOW_TRACKING_URI", "") or sqlite_uri(Path(RUNS_FOLDER) / "mlflow.db")
    path = sqlite_path(uri)
    return uri if path is None else sqlite_uri(path)


def resume_command(run_id: str, uri: str) -> str:
    """The command that goes on with a run; it names the run's store, without secrets, where that is not the usual one.

    Args:
        run_id: MLflow's id.
        uri: what the configuration says.
    """
    own = resolve_tracking_uri(uri)
    place = "" if own == resolve_tracking_uri() else f" --track.uri {shlex.quote(without_secrets(own))}"
    return f"dclf train --resume {run_id}{place}"


def sqlite_path(uri: str) -> Path | None:
    """The absolute path of an SQLite URI's file; None for any other URI, TrackingError where it names none."""
    try:
        return uris.sqlite_path(uri)
    except ValueError as error:
        raise TrackingAddressError(f"tracking URI {error}") from None


def is_new(uri: str) -> bool:
    """Whether the store is a file that is not there yet, which MLflow would make."""
    path = sqlite_path(uri)
    return path is not None and not path.is_file()


def artifact_root(uri: str) -> str | None:
    """Where a new experiment's artifacts go: beside an SQLite file, ``dclf-runs`` for a bare database.

    None for a server, which decides itself.
    """
    path = sqlite_path(uri)
    if path is not None:
        return file_uri(path.parent / ARTIFACTS)
    if scheme_of(uri) in DATABASES:
        return file_uri(Path(RUNS_FOLDER) / ARTIFACTS)
    return None


def scheme_of(uri: str) -> str:
    """The kind of store, without the driver: ``postgresql`` for ``postgresql+psycopg://``."""
    return "databricks" if uri == "databricks" else urlsplit(uri).scheme.split("+")[0]


def refuse_unsupported(uri: str) -> None:
    """Raise TrackingError for a kind of store that MLflow does not take or no longer takes."""
    scheme = scheme_of(uri)
    if scheme in ("", "file"):
        path = unquote(urlsplit(uri).path) if scheme else uri
        raise TrackingAddressError(
            f"tracking URI {uri}: MLflow no longer keeps runs in plain folders; use an SQLite file there instead: "
            f"{sqlite_uri(Path(path) / 'mlflow.db')}"
        )
    if scheme not in ("http", "https", "sqlite", "databricks", *DATABASES):
        raise TrackingAddressError(f"tracking URI {without_secrets(uri)}: must be {_SUPPORTED}")
