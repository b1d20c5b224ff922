import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from cluster.local.processes import MARK, Identity, end_all, ended, marked, start, tail
from tests.tune.tracking.server import wait_until

WAITS = "import signal; signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WAITS!r}])"
Launch = Callable[[str], int]


@pytest.fixture
def mark() -> Iterator[str]:
    value = uuid4().hex
    yield value
    end_all([], value)


@pytest.fixture
def launch(mark: str, tmp_path: Path) -> Launch:
    """Start Python code; its log is named by its number. ``mark`` ends it."""
    numbers = count()

    def launch(code: str) -> int:
        environment = {**os.environ, MARK: mark}
        return start([sys.executable, "-c", code], environment, tmp_path / f"{next(numbers)}.log")

    return launch


def test_an_identity_lives_as_long_as_its_process(launch: Launch) -> None:
    pid = launch(WAITS)
    identity = Identity.of(pid)
    assert identity.alive
    assert ended(pid) is None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not identity.alive, 10)  # though nobody has reaped it yet
    assert ended(pid) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError, match="has ended"):
        Identity.of(pid)


def test_a_process_is_out_of_reach_of_ctrl_c_and_its_log_is_private(launch: Launch, tmp_path: Path) -> None:
    pid = launch(WAITS)
    assert os.getsid(pid) == pid
    assert stat.S_IMODE((tmp_path / "0.log").stat().st_mode) == 0o600


def test_a_later_process_with_the_same_id_is_another(launch: Launch, mark: str) -> None:
    pid = launch(WAITS)
    recycled = Identity(pid, Identity.of(pid).started - 60)
    assert not recycled.alive
    end_all([recycled], "another mark")
    assert psutil.Process(pid).is_running()
    # A program that has just been started has no environment for a moment.
    wait_until(lambda: [process.pid for process in marked(mark)] == [pid], 10)


@pytest.mark.slow
def test_children_of_a_killed_parent_are_found_and_ended(launch: Launch, mark: str) -> None:
    parent = launch(PARENT)
    wait_until(lambda: len(marked(mark)) == 2, 20)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert len(marked(mark)) == 1
    end_all([], mark)
    assert marked(mark) == []


def test_a_process_that_ignores_sigterm_is_killed(launch: Launch, mark: str, tmp_path: Path) -> None:
    pid = launch(DEAF)
    wait_until(lambda: "deaf" in tail(tmp_path / "0.log"), 20)
    end_all([Identity.of(pid)], mark, grace_s=0.2)
    assert marked(mark) == []


def test_a_tail_is_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_text("\n".join(str(number) for number in range(40)))
    assert tail(log, lines=2) == "38\n39"
