"""A study whose driver dies at any of its writes: what the next driver makes of it is what an undisturbed one makes."""

import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.tune.runner.crashes import Crashes, work
from tests.tune.runner.outcome import check_epochs, check_optuna, check_runs
from tests.tune.runner.sessions import new_study
from tune.study.folder import StudyFolder
from tune.study.history import read_history
from tune.study.parent import parent_id
from tune.tracking.store import Store, connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
EPOCHS = 2
"""One to go on from, and one to come: every further one is written as the second is."""


SEARCH = {"trials": 2}
COMPARISON = {"trials": 1, "seeds": 2, "test": "all"}
"""Its trainings run at the same time."""


@pytest.mark.parametrize(("settings", "first"), [(SEARCH, 1), (COMPARISON, 2)], ids=["search", "comparison"])
def test_a_driver_killed_at_any_write_costs_nothing(
    tmp_path: Path, sqlite_uri: str, settings: dict[str, Any], first: int
) -> None:
    """Most of their writes are alike: each form takes every other one."""
    crashes, store = Crashes(), connect(sqlite_uri, "dclf")
    for writes in count(first, 2):
        storage = tmp_path / str(writes)
        new_study(storage, uri=sqlite_uri, name=f"gammas-{writes}", epochs=EPOCHS, **settings)
        killed = crashes.drive(writes, storage, f"gammas-{writes}", sqlite_uri)
        if writes % 3 == 0:
            # The next one is killed as well, as far into its own work, before one comes to the end.
            crashes.drive(writes, storage, f"gammas-{writes}", sqlite_uri)
        folder = StudyFolder.open(storage, f"gammas-{writes}")
        work(folder, store)
        check(folder, store)
        shutil.rmtree(storage)
        if not killed:
            break
    assert writes > 50, "hardly anything was counted"


def check(folder: StudyFolder, store: Store) -> None:
    """All trials are complete, MLflow and Optuna say so too, and no epoch is lost or told twice."""
    trials, settings = folder.ledger.trials, folder.definition.sweep
    assert [(trial.state, trial.reason) for trial in trials.values()] == [("complete", "")] * settings.trials
    assert all(len(trial.runs) == settings.seeds for trial in trials.values())
    check_optuna(folder)
    check_runs(folder, store)
    for trial in folder.ledger.trials.values():
        for seed, run in trial.runs.items():
            history = read_history(folder.checkpoint(trial.number, seed))
            assert len(history) == run.epochs == EPOCHS
            check_epochs(store, run.run_id, history)
    parent = parent_id(folder)
    assert parent is not None
    ended = store.client.get_metric_history(parent, "trials/complete")
    assert sorted((point.step, point.value) for point in ended) == [
        (number, float(number)) for number in range(1, settings.trials + 1)
    ]
