"""A real sweep on a real cluster, recorded in a real MLflow store, through the loss of everything it consists of.

Lost nodes are in ``tests/cluster/nodes``, a lost server is in ``test_interrupts``.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.tune.runner.disks import SmallDisk
from tests.tune.runner.processes import Processes, suspend_in
from tests.tune.runner.ray_nodes import Nodes
from tests.tune.runner.victims import STEP, Victim
from tests.tune.tracking.server import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
Make = Callable[[int], Victim]


@pytest.fixture
def victim(tmp_path: Path, shards: Path, sqlite_uri: str, cluster: tuple[Nodes, Processes]) -> Iterator[Make]:
    sweeps: list[Victim] = []

    def make(trials: int) -> Victim:
        nodes, processes = cluster
        sweeps.append(Victim(tmp_path, shards, sqlite_uri, processes, trials, nodes.address))
        return sweeps[-1]

    yield make
    for sweep in sweeps:
        sweep.saves.close()


def test_a_killed_worker_and_a_driver_killed_twice_cost_no_epoch(
    victim: Make, cluster: tuple[Nodes, Processes]
) -> None:
    sweep = victim(4)
    driver = sweep.go_on()
    sweep.wait_for_epochs(2, driver)
    workers: list[psutil.Process] = []

    def in_step() -> bool:
        if worker := suspend_in(STEP, cluster[1].survivors()):
            workers.append(worker)
        return bool(workers)

    wait_until(lambda: in_step() or not driver.running)
    assert driver.running, driver.output
    workers[0].kill()
    driver.wait_for("its worker was lost, another one goes on from the last epoch")
    # In the midst of trials, one of which has just ended.
    wait_until(lambda: "complete" in sweep.states() or not driver.running, 120)
    driver.kill()
    assert len(sweep.states()) < sweep.trials or "running" in sweep.states()
    # Behind all trials, while the report is drawn.
    driver = sweep.go_on()
    report = sweep.path / "report"
    wait_until(lambda: report.exists() or not driver.running, 120)
    driver.kill()
    assert sweep.states() == ["complete"] * sweep.trials
    sweep.finish()
    sweep.check()
    assert (report / "report.html").is_file()


def test_a_full_disk_ends_the_sweep_and_resuming_finishes_it(victim: Make, tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "studies", mib=290) as disk:
        sweep = victim(4)
        driver = sweep.go_on()
        sweep.wait_for_epochs(8, driver)
        disk.fill()
        assert driver.end() == 1, driver.output
        assert "no space left on device" in driver.output.lower()
        assert str(tmp_path / "studies") in driver.output
        assert "dclf resume victim" in driver.output
        assert "Traceback" not in driver.output
        disk.free()
        sweep.finish()
        sweep.check()
        sweep.saves.close()
