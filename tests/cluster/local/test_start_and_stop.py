"""How a start goes wrong, and that nothing is left behind; real commands on clusters of their own.

One that is whole is lost in ``test_mlflow_stores``.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster.local.start import up
from cluster.local.state import ClusterError, LocalCluster, load_cluster
from cluster.local.stop import down
from tests.cluster.local.support import as_words, assert_nothing_is_left, small
from tests.tune.runner.processes import Driver, Processes
from tests.tune.tracking.server import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.mlflow, pytest.mark.slow]


@pytest.fixture
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.end()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "cluster"
    down(tmp_path / "cluster")


def launch(processes: Processes, folder: Path, *words: str) -> Driver:
    folder.parent.mkdir(exist_ok=True)
    return processes.dclf(folder.parent, "cluster", *words, "--folder", str(folder))


def launched(driver: Driver, folder: Path, name: str) -> LocalCluster:
    """The state as soon as a member was started."""

    def is_member() -> bool:
        cluster = load_cluster(folder)
        return cluster is not None and name in [member.name for member in cluster.members]

    wait_until(lambda: is_member() or not driver.running, 60)
    cluster = load_cluster(folder)
    assert cluster is not None, driver.output
    return cluster


def test_a_server_that_cannot_start_shows_its_log(folder: Path) -> None:
    (folder.parent / "runs.db").write_text("certainly not a database of runs " * 100)
    backend = f"sqlite:///{folder.parent}/runs.db"
    with pytest.raises(ClusterError, match=r"mlflow ended with code \d+ while it was being started; its log") as failed:
        up(small(nodes=1, mlflow_backend=backend), folder)
    assert "file is not a database" in str(failed.value)
    assert load_cluster(folder) is None


def test_a_node_that_dies_while_starting_takes_all_down(processes: Processes, folder: Path) -> None:
    driver = launch(processes, folder, "up", *as_words(small()))
    cluster = launched(driver, folder, "head")
    psutil.Process(cluster.members[-1].process.pid).kill()
    assert driver.end() == 1
    assert "head ended with code -9 while it was being started; its log" in driver.output
    assert_nothing_is_left(cluster)
    assert processes.all_gone()


@pytest.mark.parametrize(("number", "code", "member"), [(signal.SIGINT, 130, "head"), (signal.SIGTERM, 143, "mlflow")])
def test_an_interrupt_takes_down_what_was_started(
    processes: Processes, folder: Path, number: signal.Signals, code: int, member: str
) -> None:
    driver = launch(processes, folder, "up", *as_words(small()))
    cluster = launched(driver, folder, member)
    driver.signal(number)
    assert driver.end() == code
    assert "taking down what was started" in driver.output
    assert_nothing_is_left(cluster)
    assert processes.all_gone()


def test_a_killed_up_is_cleared_away_by_down(processes: Processes, folder: Path) -> None:
    driver = launch(processes, folder, "up", *as_words(small()))
    cluster = launched(driver, folder, "head")
    driver.kill()
    end = launch(processes, folder, "down")
    assert end.end() == 0
    assert_nothing_is_left(cluster)
    assert processes.all_gone()
