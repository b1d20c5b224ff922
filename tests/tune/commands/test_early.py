"""What a command begins before its command line is read."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cluster.warm import _begun
from dclf.config import Config, TrainConfig
from tests.tune.study.processes import Processes
from tests.tune.tracking.server import wait_until
from tune.commands.early import STUDIES, THREADS, begun_early
from tune.commands.main import COMMANDS
from tune.study.warming import ready_for_trials

SLOW = """
import sys, time
from tune.commands import main

main.main = lambda: time.sleep(600)
sys.argv[1:] = ["sweep", "no-such.yaml"]
main.console()
"""


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_a_study_of_usual_trials_finds_what_it_needs() -> None:
    assert TrainConfig().cpus_per_worker == THREADS
    assert set(COMMANDS) >= STUDIES
    with begun_early(["sweep", "iemocap", "--trials", "3"]):
        (made,) = _begun
        assert made.ready == ready_for_trials(Config().train.cpus_per_worker)
    assert _begun == []


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["train", "iemocap"],
        ["plan", "sweep"],
        ["sweep", "--help"],
        ["sweep", "iemocap", "--print-config"],
        ["resume", "gammas", "--address", "127.0.0.1:6379"],
        ["resume", "gammas", "--address=127.0.0.1:6379"],
    ],
)
def test_nothing_begins_where_no_trials_follow_on_this_machine(words: list[str]) -> None:
    with begun_early(words):
        assert _begun == []


def test_nothing_begins_where_the_environment_names_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    with begun_early(["sweep", "iemocap"]):
        assert _begun == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_the_command(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SLOW], stderr=subprocess.DEVNULL) as command:
        process = psutil.Process(command.pid)
        wait_until(lambda: bool(process.children()), 30)
        below = process.children()
        os.kill(command.pid, number)
        command.wait(30)
        assert psutil.wait_procs(below, timeout=30)[1] == []


def test_it_ends_with_a_mistake_on_the_command_line(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("dclf")
    command = [program, "sweep", "no-such.yaml", "--nonsense", "1"]
    own = Processes()
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env=own.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    own.wait_until_gone(30)
