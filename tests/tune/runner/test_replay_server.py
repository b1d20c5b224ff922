"""Sending again through an MLflow server, and into PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.local.postgres import Postgres, require_programs
from tests.tune.runner.study_writer import SEED, Writer, check, points, replay_all
from tests.tune.tracking.server import Server
from tune.runner.doctor import Doctor
from tune.runner.replay import send_unsent
from tune.study.folder import StudyFolder
from tune.study.parent import parent_id
from tune.tracking.children import find_runs
from tune.tracking.store import Store, connect

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]


@pytest.fixture
def store(server: Server) -> Store:
    return connect(server.uri, "dclf")


@pytest.mark.parametrize(
    ("steps", "sends", "torn"), [(None, 12, False), (None, 1, True), (12, 1, True), (None, None, False)]
)
def test_what_a_kill_left_is_mended(
    tmp_path: Path, store: Store, steps: int | None, sends: int | None, torn: bool
) -> None:
    name = f"gammas-{steps}-{sends}"
    folder = Writer(tmp_path, store, name=name).write(steps, sends, torn=torn)
    send_unsent(folder, store)
    # The parent run is left to the driver.
    store.client.set_terminated(parent_id(folder), "KILLED")
    check(folder, store)
    assert send_unsent(folder, store) == []
    assert Doctor(tmp_path).look(name).agrees


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    database = Postgres(require_programs())
    try:
        database.start()
        yield database
    finally:
        database.stop()


def test_a_finished_run_that_the_ledger_does_not_name_is_not_made_twice(tmp_path: Path, store: Store) -> None:
    folder = Writer(tmp_path, store, name="unnamed").write()
    ledger = folder.path / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(line for line in lines if '"event": "run"' not in line))
    before = {run.info.run_id for run in find_runs(store, "unnamed")}
    folder = StudyFolder.open(tmp_path, "unnamed")
    send_unsent(folder, store)
    assert {run.info.run_id for run in find_runs(store, "unnamed")} == before
    assert {run.runs[SEED].run_id for run in folder.ledger.trials.values()} < before


def sent_twice(folder: StudyFolder, store: Store) -> None:
    """What was sent live, and then twice more, is there once."""
    folder.ledger.test(0, SEED, {"wf1": 0.25})
    replay_all(folder, store)
    once = points(store, folder.definition.name)
    assert [step for step, *_ in once[folder.ledger.trials[0].runs[SEED].run_id, "val/wf1"]] == [1, 2, 3]
    replay_all(folder, store)
    assert points(store, folder.definition.name) == once


def test_a_server_keeps_what_it_is_sent_twice_once(tmp_path: Path, store: Store) -> None:
    sent_twice(Writer(tmp_path, store, name="twice").write(), store)


def test_postgres_keeps_what_it_is_sent_twice_once(tmp_path: Path, postgres: Postgres) -> None:
    store = connect(postgres.url.replace("postgresql:", "postgresql+psycopg:"), "dclf", timeout_s=60)
    sent_twice(Writer(tmp_path, store).write(), store)
