"""Ask a store whether it is there, without MLflow's patience of minutes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from tune.tracking.address import DATABASES, scheme_of
from tune.tracking.redact import without_secrets
from tune.tracking.trouble import TrackingError, unreachable

Result = TypeVar("Result")


def probe(mlflow: Any, uri: str, timeout_s: float) -> None:
    """One small question to a server or database.

    Raises:
        TrackingError: no answer in time, or no driver; anything else as the backend raises it.
    """
    scheme = scheme_of(uri)
    if scheme in ("http", "https"):
        within(timeout_s, uri, lambda: _ask_server(mlflow, uri, timeout_s))
    elif scheme in DATABASES:
        within(timeout_s, uri, lambda: _ask_database(uri))
    else:
        within(timeout_s, uri, lambda: mlflow.MlflowClient(tracking_uri=uri).search_experiments(max_results=1))


def probe_sqlite(path: Path) -> None:
    """Take the write lock for a moment: MLflow would retry a file it cannot open for a hundred seconds.

    Raises:
        sqlite3.Error: the file cannot be opened, is no database, or stays locked for 20 s.
    """
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT count(*) FROM sqlite_master")
        connection.rollback()


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
        raise TrackingError(unreachable(uri, f"no answer within {timeout_s:g} s"))
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


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
