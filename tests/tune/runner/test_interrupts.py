"""Ctrl-C at a real sweep, and a queue's end: a signal to the driver and all processes of its group."""

import os
import signal
import time
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


@pytest.fixture
def victim(tmp_path: Path, shards: Path, sqlite_uri: str, processes: Processes) -> Iterator[Victim]:
    """With a Ray of its own, and a database that gets copies of the study."""
    made = Victim(tmp_path, shards, sqlite_uri, processes, trials=4, options={"sweep.optuna": copies(tmp_path)})
    yield made
    made.saves.close()


@pytest.fixture
def guest(tmp_path: Path, shards: Path, sqlite_uri: str, cluster: tuple[Nodes, Processes]) -> Iterator[Victim]:
    """On a cluster that goes on."""
    nodes, processes = cluster
    made = Victim(tmp_path, shards, sqlite_uri, processes, 4, nodes.address)
    yield made
    made.saves.close()


def copies(folder: Path) -> str:
    return f"sqlite:///{folder}/copies.db"


def copied(folder: Path) -> list[str]:
    """States of the trials in the copy."""
    return [trial.state.name for trial in optuna.load_study(study_name=NAME, storage=copies(folder)).get_trials()]


def ctrl_c(driver: Driver) -> None:
    os.killpg(driver.process.pid, signal.SIGINT)


def cut_short(victim: Victim, interrupt: Callable[[Driver], None], code: int = 130) -> float:
    """Interrupt a sweep in the midst of its first trials; seconds until it ended."""
    driver = victim.go_on()
    victim.wait_for_epochs(2, driver)
    begun = time.monotonic()
    interrupt(driver)
    assert driver.end(LIMIT_S) == code, driver.output
    took = time.monotonic() - begun
    assert "dclf: cut short; go on with: dclf resume victim" in driver.output
    assert "Traceback" not in driver.output
    return took


def test_ctrl_c_ends_between_epochs_and_resuming_finishes(victim: Victim) -> None:
    cut_short(victim, ctrl_c)
    assert "RUNNING" in copied(victim.folder)
    statuses = {run.info.status for run in find_all(victim.study, victim.uri)}
    assert statuses <= {"KILLED", "FINISHED"}
    assert "KILLED" in statuses
    assert max(victim.saves.counts().values()) <= EPOCHS
    victim.finish()
    victim.check()
    assert copied(victim.folder) == ["COMPLETE"] * 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_queue_or_terminal_that_ends_ray_with_the_driver_costs_the_epochs_under_way_alone(
    victim: Victim, number: signal.Signals, code: int
) -> None:
    # Ray's processes are in the group that the signal goes to.
    cut_short(victim, lambda driver: os.killpg(driver.process.pid, number), code)
    statuses = {run.info.status for run in find_all(victim.study, victim.uri)}
    assert statuses <= {"KILLED", "FINISHED"}
    assert "KILLED" in statuses
    victim.finish()
    victim.check()


def test_a_second_ctrl_c_ends_at_once_and_resuming_finishes(guest: Victim) -> None:
    def twice(driver: Driver) -> None:
        ctrl_c(driver)
        driver.wait_for("Ctrl-C again ends at once")
        ctrl_c(driver)

    cut_short(guest, twice)
    guest.finish()
    guest.check()
