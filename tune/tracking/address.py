"""Tracking URIs: which one counts, which kinds there are, and where artifacts go."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from tune.tracking.redact import without_secrets
from tune.tracking.trouble import TrackingError

RUNS_FOLDER = "dclf-runs"
"""Where the local store, checkpoints and unsent writes go unless the configuration says otherwise."""

DATABASES = ("postgresql", "mysql", "mssql")
"""Databases that MLflow writes to directly."""
_SUPPORTED = "sqlite:///FILE, http(s)://HOST:PORT, postgresql://, mysql://, mssql:// or databricks"


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
    if scheme_of(uri) in DATABASES:
        return (Path(RUNS_FOLDER) / "artifacts").absolute().as_uri()
    return None


def scheme_of(uri: str) -> str:
    """The kind of store, without the driver: ``postgresql`` for ``postgresql+psycopg://``."""
    return "databricks" if uri == "databricks" else urlsplit(uri).scheme.split("+")[0]


def refuse_unsupported(uri: str) -> None:
    """Raise TrackingError for a kind of store that MLflow does not take or no longer takes."""
    scheme = scheme_of(uri)
    if scheme in ("", "file"):
        path = urlsplit(uri).path if scheme else uri
        raise TrackingError(
            f"tracking URI {uri}: MLflow no longer keeps runs in plain folders; use an SQLite file there instead: "
            f"sqlite:///{Path(path).absolute() / 'mlflow.db'}"
        )
    if scheme not in ("http", "https", "sqlite", "databricks", *DATABASES):
        raise TrackingError(f"tracking URI {without_secrets(uri)}: must be {_SUPPORTED}")
