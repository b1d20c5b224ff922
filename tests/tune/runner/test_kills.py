"""A real sweep on a real cluster, recorded in a real MLflow store, through the loss of everything it consists of."""

import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tune.runner.disks import SmallDisk
from tests.tune.runner.processes import Processes
from tests.tune.runner.ray_nodes import Nodes
from tests.tune.runner.victims import Victim
from tests.tune.tracking.server import Server, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
TRAINS = "ray::ResourceTrainable.train"
"""Title that Ray gives to a process in a trial's step."""
Make = Callable[..., Victim]


@pytest.fixture
def victim(tmp_path: Path, shards: Path, sqlite_uri: str, cluster: tuple[Nodes, Processes]) -> Iterator[Make]:
    made: list[Victim] = []

    def make(trials: int, uri: str = sqlite_uri, **options: str) -> Victim:
        nodes, processes = cluster
        made.append(Victim(tmp_path, shards, uri, processes, trials, nodes.address, options))
        return made[-1]

    yield make
    for each in made:
        each.saves.close()


def test_a_driver_killed_ten_times_at_random_moments(victim: Make) -> None:
    sweep = victim(trials=8)
    chance = random.Random(5)
    for _ in range(10):
        driver = sweep.go_on()
        before, news = sweep.events(), chance.randrange(10)
        wait_until(lambda: sweep.events() - before >= news or not driver.running, 120)  # noqa: B023 - waits at once
        # Not only right behind an event.
        threading.Event().wait(chance.uniform(0, 0.3))
        driver.kill()
    sweep.finish()
    sweep.check()


def test_a_killed_worker_is_replaced_and_goes_on_from_its_last_epoch(
    victim: Make, cluster: tuple[Nodes, Processes]
) -> None:
    sweep = victim(trials=3)
    driver = sweep.go_on()
    sweep.wait_for_epochs(2, driver)
    next(process for process in cluster[1].left() if TRAINS in " ".join(process.cmdline())).kill()
    assert driver.end() == 0, driver.output
    assert "its worker was lost, another one goes on from the last epoch" in driver.output
    sweep.check()


def test_a_killed_node_costs_no_trial(victim: Make, cluster: tuple[Nodes, Processes]) -> None:
    nodes, processes = cluster
    second = nodes.add(cpus=2)
    sweep = victim(trials=6, **{"sweep.concurrency": "5"})
    driver = sweep.go_on()

    def trains() -> bool:
        below = {process.pid for process in second.children(recursive=True)}
        return any(p.pid in below and TRAINS in " ".join(p.cmdline()) for p in processes.left())

    wait_until(lambda: (trains() and sweep.saves.total() > 0) or not driver.running, 120)
    assert driver.running, driver.output
    nodes.kill(second)
    assert driver.end() == 0, driver.output
    sweep.check()


def test_a_lost_server_costs_no_record(victim: Make, empty_store: Path, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    shutil.copy(empty_store, tmp_path / "server" / "mlflow.db")
    server = Server(tmp_path / "server")
    try:
        server.start()
        sweep = victim(trials=6, uri=server.uri)
        driver = sweep.go_on()
        sweep.wait_for_epochs(3, driver)
        server.kill()
        driver.wait_for("MLflow does not answer")
        # Further trials begin and end while nobody hears of it. Writes are tried again every half second to 15
        # seconds, so a longer absence differs in nothing.
        ended = len([trial for trial in sweep.study.ledger.trials.values() if trial.ended])
        wait_until(lambda: len([t for t in sweep.study.ledger.trials.values() if t.ended]) >= ended + 2, 60)
        server.start()
        assert driver.end() == 0, driver.output
        sweep.check()
    finally:
        server.kill()


def test_a_full_disk_ends_the_sweep_and_resuming_finishes_it(victim: Make, tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "studies", mib=290) as disk:
        sweep = victim(trials=4)
        driver = sweep.go_on()
        sweep.wait_for_epochs(8, driver)
        disk.fill()
        assert driver.end() == 1, driver.output
        assert "no space left on device" in driver.output.lower()
        assert str(tmp_path / "studies") in driver.output
        assert "dclf resume victim" in driver.output
        assert "Traceback" not in driver.output
        again = sweep.go_on()
        assert again.end() == 1
        disk.free()
        sweep.finish()
        sweep.check()
        sweep.saves.close()
