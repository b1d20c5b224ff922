"""A new SQLite store in an instant: MLflow's empty tables are made once for each of its versions, and copied.

MLflow makes a new file by running every migration of its history, two seconds of processor time. The first new store of
a user does so too, and leaves a copy without experiments in the cache folder (XDG_CACHE_HOME, else ~/.cache).
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from cluster.temporary import TemporaryFolder
from dclf.uris import sqlite_uri
from dclf.whole_files import whole
from tune.config.local_files import cache_folder


def lay_out(mlflow: Any, path: Path) -> None:
    """Put MLflow's empty tables into a new file; where that cannot be, MLflow is left to make its own.

    Args:
        mlflow: the module.
        path: absent or empty; the caller sees to it that nobody else writes it.
    """
    if path.exists() and path.stat().st_size:
        return
    with suppress(OSError, sqlite3.Error, mlflow.exceptions.MlflowException), whole(path) as unfinished:
        shutil.copyfile(_template(mlflow), unfinished)


def _template(mlflow: Any) -> Path:
    cache = cache_folder()
    template = cache / f"mlflow-{mlflow.__version__}.db"
    if not template.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryFolder("store", cache) as folder:
            database = folder / "made.db"
            mlflow.MlflowClient(tracking_uri=sqlite_uri(database))
            _without_experiments(database, folder / "empty.db").replace(template)
    return template


def _without_experiments(database: Path, empty: Path) -> Path:
    """Copy the tables without the default experiment, which holds the file's place; MLflow makes another one."""
    with closing(sqlite3.connect(database)) as connection:
        with connection:
            connection.execute("DELETE FROM experiments")
        connection.execute("VACUUM INTO ?", (str(empty),))
    return empty
