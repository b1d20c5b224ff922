"""Ctrl-C at a real sweep, and a queue's end: a signal to the driver and all processes of its group."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest

from tests.tune.runner.outcome import find_all
from tests.tune.runner.processes import Driver, Processes
from tests.tune.runner.ray_nodes import Nodes
from tests.tune.runner.victims import EPOCHS, NAME, Victim

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
LIMIT_S = 60.0
"""To end the current epoch, record what is waiting and end Ray; a few seconds on a quiet machine."""
TRIALS = 6
"""Two at a time, so that some are left for the third interrupt."""


@pytest.fixture
def victim(tmp_path: Path, shards: Path, sqlite_uri: str, processes: Processes) -> Iterator[Victim]:
    """With a Ray of its own, and a database that gets copies of the study."""
    sweep = Victim(tmp_path, shards, sqlite_uri, processes, TRIALS, options={"sweep.optuna": copies(tmp_path)})
    yield sweep
    sweep.saves.close()


def test_an_interrupted_sweep_ends_between_epochs_and_resuming_finishes(
    victim: Victim, cluster: tuple[Nodes, Processes]
) -> None:
    # Ray's processes are in the group that the signal goes to, and end with it at SIGTERM.
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        cut_short(victim, lambda driver: os.killpg(driver.process.pid, number), code)  # noqa: B023 - called at once
        victim.processes.wait_until_gone(60)
        statuses = {run.info.status for run in find_all(victim.study, victim.uri)}
        assert statuses <= {"KILLED", "FINISHED"}
        assert "KILLED" in statuses
        assert max(victim.saves.counts().values()) <= EPOCHS
        assert "RUNNING" in copied(victim.folder)
    nodes, guests = cluster
    victim.processes, victim.address = guests, nodes.address
    cut_short(victim, ctrl_c_twice, 130)
    victim.finish()
    # Every epoch that was kept was trained once, whatever came between.
    victim.check()
    assert copied(victim.folder) == ["COMPLETE"] * TRIALS


def copies(folder: Path) -> str:
    return f"sqlite:///{folder}/copies.db"


def copied(folder: Path) -> list[str]:
    """States of the trials in the copy."""
    return [trial.state.name for trial in optuna.load_study(study_name=NAME, storage=copies(folder)).get_trials()]


def cut_short(victim: Victim, interrupt: Callable[[Driver], None], code: int) -> None:
    """Interrupt a sweep in the midst of trials; it says how to go on."""
    before = victim.saves.total()
    driver = victim.go_on()
    victim.wait_for_epochs(before + 2, driver)
    interrupt(driver)
    assert driver.end(LIMIT_S) == code, driver.output
    assert "dclf: cut short; go on with: dclf resume victim" in driver.output
    assert "Traceback" not in driver.output


def ctrl_c_twice(driver: Driver) -> None:
    """On a cluster that goes on."""
    os.killpg(driver.process.pid, signal.SIGINT)
    driver.wait_for("Ctrl-C again ends at once")
    os.killpg(driver.process.pid, signal.SIGINT)
