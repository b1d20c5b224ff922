"""Stores, runs and studies that were moved or copied with their folder: where they lay, and where their places are.

What we record ourselves stays as it was written and says beside it where its folder lay then: whoever reads it knows
the place of today. MLflow keeps absolute places of artifacts in its tables and has no call to change them (``mlflow db
move-resources`` leaves those of runs and models). A store that was moved is therefore refused, since a copy would write
into the original, until ``mend_places`` has rewritten them: the one place where we write MLflow's tables. The columns
are those of 3.17; a test fails when another one holds such a place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from dclf.uris import file_uri
from tune.config import local_files
from tune.config.moved_folders import local_path, same_folder
from tune.tracking.manners import manners
from tune.tracking.trouble import TrackingError

CHECKPOINT_TAG = "dclf.checkpoint"
"""Tag of runs: the folder or URI of their checkpoints."""
HOME_TAG = "dclf.store"
"""Tag of experiments and runs: the folder of the SQLite file when their places were recorded."""
ARTIFACTS = "artifacts"
"""Folder beside an SQLite file that holds its artifacts."""
MLRUNS = "mlruns"
"""Folder that MLflow makes for the artifacts of its default experiment."""
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""MLflow's tables and columns that hold places of artifacts."""


def former_homes(client: Any, folder: Path) -> list[Path]:
    """Folders that experiments of a store think it lies in, other than the one where it does.

    Args:
        client: an ``mlflow.MlflowClient`` on an SQLite file.
        folder: of that file.
    """
    homes = {home for experiment in _experiments(client) if (home := _home(experiment)) is not None}
    return sorted(home for home in homes if not same_folder(home, folder))


def mend_places(client: Any, database: Path, homes: list[Path]) -> None:
    """Have a moved store name the artifacts that lie beside it now.

    Args:
        client: an ``mlflow.MlflowClient`` on the file.
        database: the SQLite file; nobody may be writing to it.
        homes: from ``former_homes``.

    Raises:
        TrackingError: the artifacts were not moved along.
        sqlite3.Error: the file cannot be written, or has other tables than those of MLflow 3.17.
    """
    folder = database.parent
    for home in homes:
        if (home / ARTIFACTS).exists() and not (folder / ARTIFACTS).exists():
            raise TrackingError(
                f"{folder / ARTIFACTS}: must hold the runs' artifacts, is absent; copy {home / ARTIFACTS} there"
            )
        _tag_runs(client, home)
        with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
            for table, column in PLACES:
                for before, after in _prefixes(home, folder):
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - our own names
                        f"WHERE substr({column}, 1, ?) = ?",
                        (after, len(before) + 1, len(before) + 1, f"{before}/"),
                    )
    for experiment in _experiments(client):
        if _home(experiment) is not None:
            client.set_experiment_tag(experiment.experiment_id, HOME_TAG, str(folder))


def _prefixes(home: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Beginnings of places and what takes their place; as MLflow has them, URIs and plain paths."""
    moved = [(home, folder)]
    # The default experiment's artifacts, which MLflow puts into the folder that its store was made from.
    before, after = home.parent / MLRUNS, folder.parent / MLRUNS
    if after.exists() or not before.exists():
        moved.append((before, after))
    for old, new in moved:
        yield file_uri(old), file_uri(new)
        yield str(old), str(new)


def alone(database: Path) -> AbstractContextManager[None]:
    """Let one process at a time make the tables of an SQLite file or mend them."""
    lock = database.with_name(f"{database.name}.lock")
    return local_files.alone(lock, "make the tables of MLflow's store or mend them")


def folder_name(experiment: str) -> str:
    """Name of the folder of an experiment's artifacts."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in experiment).strip(".") or "experiment"


def _tag_runs(client: Any, home: Path) -> None:
    """Have runs of earlier versions say where their places were recorded: where those of their experiment were."""
    ids = [one.experiment_id for one in _experiments(client) if (_home(one) or home) == home]
    condition = f"tags.`{CHECKPOINT_TAG}` LIKE '%'"
    for run in all_pages(client.search_runs, ids, condition):
        if HOME_TAG not in run.data.tags:
            client.set_tag(run.info.run_id, HOME_TAG, str(home))


def _experiments(client: Any) -> list[Any]:
    with manners() as mlflow:
        return list(all_pages(client.search_experiments, mlflow.entities.ViewType.ALL))


def all_pages(search: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """What a search of MLflow's client gives, beyond its first page too."""
    page = search(*arguments)
    yield from page
    while page.token:
        page = search(*arguments, page_token=page.token)
        yield from page


def _home(experiment: Any) -> Path | None:
    """Where an experiment's store lay, as its tag says or, where an earlier version made it, as its artifacts do."""
    if HOME_TAG in experiment.tags:
        return Path(experiment.tags[HOME_TAG])
    place = local_path(experiment.artifact_location or "")
    if place is None or (place.parent.name, place.name) != (ARTIFACTS, folder_name(experiment.name)):
        return None
    return place.parents[1]
