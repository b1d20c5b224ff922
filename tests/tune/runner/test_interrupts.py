"""Ctrl-C at a real sweep, and a queue's end: signals to the driver and its whole group; then a server that is lost."""

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
from tests.tune.tracking.server import Server, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
LIMIT_S = 60.0
"""To end the current epoch, record what is waiting and end Ray; a few seconds on a quiet machine."""
TRIALS = 10
"""Two at a time, so that some are left for the driver that loses the server."""


@pytest.fixture
def victim(tmp_path: Path, shards: Path, server: Server, processes: Processes) -> Iterator[Victim]:
    """With a Ray of its own, a server, and a database that gets copies of the study."""
    sweep = Victim(tmp_path, shards, server.uri, processes, TRIALS, options={"sweep.optuna": copies(tmp_path)})
    yield sweep
    sweep.saves.close()


def test_an_interrupted_sweep_ends_between_epochs_and_resuming_finishes_though_the_server_is_lost(
    victim: Victim, cluster: tuple[Nodes, Processes], server: Server
) -> None:
    for interrupt, codes in (
        (lambda driver: os.killpg(driver.process.pid, signal.SIGINT), (130,)),
        (lambda driver: driver.signal(signal.SIGTERM), (143,)),
        # Ray's processes are in the group and end with it. Ray's library ends the driver too, with 1, where it hears
        # of its store's end before Python hears of the signal, as it does at times.
        (lambda driver: os.killpg(driver.process.pid, signal.SIGTERM), (143, 1)),
    ):
        cut_short(victim, interrupt, codes)
        victim.processes.wait_until_gone(60)
        statuses = {run.info.status for run in find_all(victim.study, victim.uri)}
        assert statuses <= {"KILLED", "FINISHED"}
        assert "KILLED" in statuses
        assert max(victim.saves.counts().values()) <= EPOCHS
        assert "RUNNING" in copied(victim.folder)
    nodes, guests = cluster
    victim.processes, victim.address = guests, nodes.address
    cut_short(victim, ctrl_c_twice, (130,))
    finish_without_server(victim, server)
    # Every epoch that was kept was trained once, whatever came between, and every record is there.
    victim.check()
    assert copied(victim.folder) == ["COMPLETE"] * TRIALS


def copies(folder: Path) -> str:
    return f"sqlite:///{folder}/copies.db"


def copied(folder: Path) -> list[str]:
    """States of the trials in the copy."""
    return [trial.state.name for trial in optuna.load_study(study_name=NAME, storage=copies(folder)).get_trials()]


def cut_short(victim: Victim, interrupt: Callable[[Driver], None], codes: tuple[int, ...]) -> None:
    """Interrupt a sweep in the midst of trials; it says how to go on, but where Ray has ended it."""
    before = victim.saves.total()
    driver = victim.go_on()
    victim.wait_for_epochs(before + 2, driver)
    interrupt(driver)
    code = driver.end(LIMIT_S)
    assert code in codes, driver.output
    assert code == 1 or "dclf: cut short; go on with: dclf resume victim" in driver.output
    assert "Traceback" not in driver.output


def ctrl_c_twice(driver: Driver) -> None:
    """On a cluster that goes on."""
    os.killpg(driver.process.pid, signal.SIGINT)
    driver.wait_for("Ctrl-C again ends at once")
    os.killpg(driver.process.pid, signal.SIGINT)


def finish_without_server(victim: Victim, server: Server) -> None:
    """Resume, and lose the MLflow server for a while on the way to the end."""
    before = victim.saves.total()
    driver = victim.go_on()
    victim.wait_for_epochs(before + 3, driver)
    server.kill()
    driver.wait_for("MLflow does not answer")
    # Further trials begin and end while nobody hears of it: at most two were under way. Writes are tried again every
    # half second to 15 seconds, so a longer absence differs in nothing.
    ended = victim.states().count("complete")
    wait_until(lambda: victim.states().count("complete") >= ended + 3, 60)
    server.start()
    assert driver.end() == 0, driver.output
