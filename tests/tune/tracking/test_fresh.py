import sqlite3
from contextlib import closing

import mlflow
import pytest

from tune.tracking.store import connect

pytestmark = pytest.mark.mlflow


def tables(path):
    """Every table's and index's statement, and the version of the schema."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        # A migration that makes a table anew writes its constraints in any order.
        statements = {name: sorted(line.strip(" \t,") for line in sql.splitlines()) for name, sql in rows}
        return statements, connection.execute("SELECT * FROM alembic_version").fetchall()


def test_a_copied_store_is_the_one_that_mlflow_makes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/own.db").search_experiments()
    for name in ("first.db", "second.db"):
        store = connect(f"sqlite:///{tmp_path / name}", "emotions")
        run = store.client.create_run(store.experiment_id)
        store.client.log_metric(run.info.run_id, "wf1", 0.5)
        assert tables(tmp_path / name) == tables(tmp_path / "own.db")
        assert {experiment.name for experiment in store.client.search_experiments()} == {"Default", "emotions"}
    assert [path.name for path in (tmp_path / "cache" / "dclf").iterdir()] == [f"mlflow-{mlflow.__version__}.db"]


def test_a_store_that_is_there_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    uri = f"sqlite:///{tmp_path}/runs.db"
    first = connect(uri, "emotions")
    assert connect(uri, "emotions").experiment_id == first.experiment_id


def test_without_a_cache_folder_mlflow_makes_the_tables(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert connect(f"sqlite:///{tmp_path}/runs.db", "emotions").experiment_id == "1"
