"""Real driver processes that are ended in every way a driver can end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tune.tracking.server import wait_until
from tune.tracking.ending import DRIVER_TAG, end_running
from tune.tracking.store import Store
from tune.tracking.watch import Guardian

DRIVER = """
import sys, threading
from pathlib import Path
from tests.tune.tracking.samples import CARD, CONFIG, epoch
from tune.tracking.run import RunTracker
from tune.tracking.store import connect
with RunTracker(connect(sys.argv[1], "dclf"), Path(sys.argv[2])) as tracker:
    tracker.start(CONFIG, CARD)
    tracker.epoch(epoch(1))
    assert tracker._outbox.flush(60)
    print(tracker.run_id, tracker._guardian.pid, flush=True)
    threading.Event().wait()
"""
ROOT = Path(__file__).parents[3]


class Driver:
    """A process that has started a run and waits."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", DRIVER, store.uri, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        self.run_id, pid = line.split()
        self.guardian = int(pid)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def driver(store: Store, tmp_path: Path) -> Iterator[Driver]:
    running = Driver(store, tmp_path)
    yield running
    running.end()


def exists(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_driver_that_is_ended_leaves_a_killed_run(driver: Driver, store: Store, number: signal.Signals) -> None:
    assert store.client.get_run(driver.run_id).info.status == "RUNNING"
    os.killpg(driver.process.pid, number)  # as a terminal does: the guardian is in a session of its own
    driver.process.wait(60)
    wait_until(lambda: not exists(driver.guardian))
    run = store.client.get_run(driver.run_id)
    assert run.info.status == "KILLED"
    assert run.data.tags["dclf.status"].startswith("killed: ")
    assert run.info.end_time is not None


def test_the_guardian_is_small(store: Store) -> None:
    run = store.client.create_run(store.experiment_id)
    guardian = Guardian(store.uri, store.experiment_id, "token")
    status = Path(f"/proc/{guardian.pid}/status")
    command = Path(f"/proc/{guardian.pid}/cmdline").read_text()
    wait_until(lambda: "VmRSS" in status.read_text())
    resident = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    guardian.close()
    assert resident < 20_000, "kB"
    assert "sqlite" not in command
    assert not exists(guardian.pid)
    assert store.client.get_run(run.info.run_id).info.status == "RUNNING"


@pytest.mark.slow
def test_a_killed_guardian_does_not_stop_the_driver(store: Store) -> None:
    guardian = Guardian(store.uri, store.experiment_id, "token")
    os.kill(guardian.pid, signal.SIGKILL)
    guardian.close()
    assert not exists(guardian.pid)


@pytest.mark.parametrize(("status", "token"), [("FINISHED", "mine"), ("RUNNING", "another")])
def test_runs_that_are_not_ours_to_end_stay(store: Store, status: str, token: str) -> None:
    run_id = store.client.create_run(store.experiment_id, tags={DRIVER_TAG: token}).info.run_id
    if status != "RUNNING":
        store.client.set_terminated(run_id, status)
    end_running(store.uri, store.experiment_id, "mine", "killed")
    assert store.client.get_run(run_id).info.status == status
