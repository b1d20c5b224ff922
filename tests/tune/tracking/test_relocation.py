"""Stores that were moved or copied: refused before they write into the original, and mended."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dclf.uris import file_uri, sqlite_uri
from tests.tune.tracking.samples import CARD, CONFIG, epoch, final
from tune.config.moved_folders import relocated
from tune.tracking import writes
from tune.tracking.find import find_run, list_runs
from tune.tracking.relocation import HOME_TAG, PLACES
from tune.tracking.run import RunTracker
from tune.tracking.spool import Address, Spool, read_spool, send_spool
from tune.tracking.store import Store, TrackingError, connect, mend_move, move_problem, open_client

pytestmark = pytest.mark.usefixtures("without_figures")
OWN = {("experiment_tags", "value"), ("tags", "value"), ("params", "value")}
"""Where we keep places ourselves, which say what folder they were recorded in."""


@pytest.mark.parametrize(
    ("place", "now"),
    [
        ("/p/runs/checkpoints/7", "/q/runs/checkpoints/7"),
        ("sqlite:////p/runs/mlflow.db", "sqlite:////q/runs/mlflow.db"),
        ("sqlite:////p/runs/a%3Fb.db", "sqlite+pysqlite:////q/runs/a%3Fb.db"),
        ("file:///p/runs/a%20b", "/q/runs/a b"),
        ("/p/shards", "/p/shards"),
        ("/p2/runs", "/p2/runs"),
        ("runs/checkpoints/7", "runs/checkpoints/7"),
        ("s3://p/runs", "s3://p/runs"),
        ("http://host:5000", "http://host:5000"),
        ("", ""),
    ],
)
def test_a_place_in_a_folder_moves_with_it(place: str, now: str) -> None:
    assert relocated(place, Path("/p/runs"), Path("/q/runs")) == now
    assert relocated(place, Path("/p/runs"), Path("/p/runs")) == place


def test_what_lay_beside_the_folder_is_taken_where_it_came_along(tmp_path: Path) -> None:
    old, new = tmp_path / "p" / "runs", tmp_path / "q" / "runs"
    beside = tmp_path / "p" / "shards"
    assert relocated(str(beside), old, new) == str(beside)
    (tmp_path / "q" / "shards").mkdir(parents=True)
    assert relocated(str(beside), old, new) == str(tmp_path / "q" / "shards")


def trained(store: Store, folder: Path, shards: str = "shards/tiny") -> str:
    """A finished run with checkpoints and artifacts beside the store."""
    config = CONFIG.from_dict({**CONFIG.to_dict(), "data": {**CONFIG.to_dict()["data"], "shards": shards}})
    with RunTracker(store, folder / "unsent") as tracker:
        tracker.start(config, CARD)
        tracker.checkpoint(str(folder / "checkpoints" / tracker.run_id))
        tracker.epoch(epoch(1, 1))
        tracker.finish(final(1))
        return tracker.run_id


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_a_copy_is_refused_until_it_is_mended_and_never_writes_into_the_original(store: Store, tmp_path: Path) -> None:
    original = tmp_path / "store"
    run_id = trained(store, original, shards=str(tmp_path / "shards"))
    copy = tmp_path / "another" / "store"
    shutil.copytree(original, copy)
    (tmp_path / "another" / "shards").mkdir()
    before = files(original)
    uri = sqlite_uri(copy / "mlflow.db")
    asks: list[Callable[[], Any]] = [
        lambda: open_client(uri),
        lambda: connect(uri, "dclf"),
        lambda: connect(uri, "another"),
        lambda: find_run(uri, run_id),
        lambda: list_runs(uri),
    ]
    for ask in asks:
        with pytest.raises(TrackingError, match=f"was moved or copied from {original}, .* dclf doctor --fix --uri"):
            ask()
    mend_move(uri)
    assert move_problem(uri) == ""
    record = find_run(uri, run_id)
    assert record.checkpoint == str(copy / "checkpoints" / run_id)
    assert record.config["data"]["shards"] == str(tmp_path / "another" / "shards")
    # MLflow remembers for a whole process where a run's artifacts go; the old run has been written to in this one.
    assert record.artifact_uri == file_uri(copy / "artifacts" / "dclf" / run_id / "artifacts")
    new = trained(connect(uri, "dclf"), copy)
    assert files(original) == before
    assert list((copy / "artifacts").glob(f"dclf/{new}/artifacts/config.yaml"))
    assert find_run(store.uri, run_id).checkpoint == str(original / "checkpoints" / run_id)


@pytest.mark.parametrize("tagged", [True, False], ids=["tagged", "of an earlier version"])
def test_a_store_that_was_moved_is_mended(store: Store, tmp_path: Path, tagged: bool) -> None:
    run_id = trained(store, tmp_path / "store")
    if not tagged:
        with closing(sqlite3.connect(tmp_path / "store" / "mlflow.db")) as connection, connection:
            connection.execute("DELETE FROM experiment_tags WHERE key = ?", (HOME_TAG,))
            connection.execute("DELETE FROM tags WHERE key = ?", (HOME_TAG,))
    moved = (tmp_path / "store").rename(tmp_path / "a?b%41#c&d'e fü")
    uri = sqlite_uri(moved / "mlflow.db")
    assert str(tmp_path / "store") in move_problem(uri)
    mend_move(uri)
    record = find_run(uri, run_id)
    assert record.config["train"]["epochs"] == CONFIG.train.epochs
    assert record.checkpoint == str(moved / "checkpoints" / run_id)
    again = moved.rename(tmp_path / "again")
    mend_move(sqlite_uri(again / "mlflow.db"))
    assert find_run(sqlite_uri(again / "mlflow.db"), run_id).checkpoint == str(again / "checkpoints" / run_id)


def test_the_default_experiment_no_longer_writes_into_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p" / "dclf-runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "p")
    connect(sqlite_uri(Path("dclf-runs/mlflow.db")), "dclf")
    shutil.copytree(tmp_path / "p", tmp_path / "q")
    uri = sqlite_uri(tmp_path / "q" / "dclf-runs" / "mlflow.db")
    mend_move(uri)
    assert open_client(uri).get_experiment("0").artifact_location == str(tmp_path / "q" / "mlruns" / "0")


def test_a_link_to_the_folder_is_no_move(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store")
    assert move_problem(sqlite_uri(tmp_path / "link" / "mlflow.db")) == ""


def test_an_experiment_with_artifacts_of_its_own_elsewhere_is_no_move(store: Store, tmp_path: Path) -> None:
    store.client.create_experiment("mine", artifact_location=f"file://{tmp_path}/elsewhere/artifacts/0")
    assert move_problem(store.uri) == ""


def test_a_database_copied_without_its_artifacts_is_not_mended(store: Store, tmp_path: Path) -> None:
    trained(store, tmp_path / "store")
    (tmp_path / "backup").mkdir()
    shutil.copy(tmp_path / "store" / "mlflow.db", tmp_path / "backup")
    uri = sqlite_uri(tmp_path / "backup" / "mlflow.db")
    with pytest.raises(TrackingError, match=f"copy {tmp_path}/store/artifacts there"):
        mend_move(uri)
    assert move_problem(uri)


def test_every_place_that_mlflow_keeps_is_known(store: Store, tmp_path: Path, trained_model: Path) -> None:
    with RunTracker(store, tmp_path / "store" / "unsent") as tracker:
        tracker.start(CONFIG, CARD)
        tracker.checkpoint(str(tmp_path / "store" / "checkpoints"))
        tracker.finish(final(1), trained_model)
    run = store.client.get_run(tracker.run_id)
    model = store.client.get_logged_model(run.outputs.model_outputs[-1].model_id)
    store.client.create_registered_model("best")
    store.client.create_model_version("best", model.artifact_location, run_id=tracker.run_id, model_id=model.model_id)
    with closing(sqlite3.connect(tmp_path / "store" / "mlflow.db")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(t, row[1]) for t in tables for row in connection.execute(f"PRAGMA table_info({t})")]
        places = {
            (table, column)
            for table, column in columns
            for (value,) in connection.execute(f"SELECT {column} FROM {table}")
            if str(tmp_path / "store") in str(value)
        }
    assert places - OWN == set(PLACES)


def test_what_a_moved_run_could_not_send_goes_to_the_store_that_moved_with_it(store: Store, tmp_path: Path) -> None:
    run_id = store.client.create_run(store.experiment_id).info.run_id
    spool = Spool(tmp_path / "store" / "unsent", Address(store.uri, run_id, store.experiment_id))
    file = spool.new_file("picture.png")
    file.write_bytes(b"x")
    spool.write([writes.artifact(file)])
    shutil.copytree(tmp_path / "store", copy := tmp_path / "copy")
    uri = sqlite_uri(copy / "mlflow.db")
    mend_move(uri)
    before = files(tmp_path / "store")
    place = copy / "unsent" / spool.folder.name
    address, (write,) = read_spool(place / "writes.jsonl")
    assert (address.uri, Path(write.body["file"]).is_relative_to(copy)) == (uri, True)
    assert send_spool(place).writes == 1
    assert files(tmp_path / "store") == before
    assert [entry.path for entry in open_client(uri).list_artifacts(run_id) if entry.path == "picture.png"]
