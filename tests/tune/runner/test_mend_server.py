"""Mending through an MLflow server, which is asked for a kill's traces only: listing all runs would cost too much."""

from pathlib import Path

import pytest

from tests.tune.runner.broken import SEED, Writer, check
from tests.tune.tracking.server import Server
from tune.runner.doctor import Doctor
from tune.runner.mend import mend
from tune.study.folder import StudyFolder
from tune.study.parent import parent_id
from tune.tracking.children import find_runs
from tune.tracking.store import Store, connect

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]


@pytest.fixture
def store(server: Server) -> Store:
    return connect(server.uri, "dclf")


@pytest.mark.parametrize(
    ("steps", "sent", "torn"), [(None, 12, False), (None, 1, True), (12, 1, True), (None, None, False)]
)
def test_what_a_kill_left_is_mended(
    tmp_path: Path, store: Store, steps: int | None, sent: int | None, torn: bool
) -> None:
    name = f"gammas-{steps}-{sent}"
    folder = Writer(tmp_path, store, name=name).write(steps, sent, torn=torn)
    mend(folder, store)
    # The parent run is left to the driver.
    store.client.set_terminated(parent_id(folder), "KILLED")
    check(folder, store)
    assert mend(folder, store) == []
    assert Doctor(tmp_path).look(name).agrees


def test_a_finished_run_that_the_ledger_does_not_name_is_not_made_twice(tmp_path: Path, store: Store) -> None:
    folder = Writer(tmp_path, store, name="unnamed").write()
    mend(folder, store)
    ledger = folder.path / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(line for line in lines if '"event": "run"' not in line))
    before = {run.info.run_id for run in find_runs(store, "unnamed")}
    folder = StudyFolder.open(tmp_path, "unnamed")
    mend(folder, store)
    assert {run.info.run_id for run in find_runs(store, "unnamed")} == before
    assert {run.runs[SEED].run_id for run in folder.ledger.trials.values()} < before
