"""Every command of the command line as the installed program, on a small store, each waited for to its end."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from cluster.temporary import PREFIX
from tests.dclf.test_uris import NASTY
from tests.tune.runner.processes import Processes
from tests.tune.tracking.server import wait_until
from tune.commands.main import COMMANDS
from tune.study.folder import StudyFolder

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
PROJECT = NASTY
"""Name of the folder in which all commands work."""
DCLF = str(Path(sys.executable).with_name("dclf"))
LIMIT_S = 300.0
"""For one command; the slowest takes some twenty seconds on a quiet machine."""
GONE_S = 60.0
"""Until the processes that a command started have ended too."""
SMALL = "--data.shards shards --train.epochs 1 --train.batch_size 8 --train.device cpu"
CONFIGURED = f"iemocap {SMALL}"
FILE = """\
base: iemocap
title: Two windows
variants:
  listed:
    - {name: narrow, set: {loss.window: 2}}
    - {name: wide, set: {loss.window: 4}}
"""


@dataclass(frozen=True)
class Call:
    """A command line.

    Attributes:
        words: after ``dclf``; RUN and TRIAL stand for the id of the finished run and of a trial's run.
        code: that it ends with.
        told: what it says on stdout or stderr.
        encoding: of its output.
    """

    words: str
    code: int = 0
    told: str = ""
    encoding: str = "utf-8"


NO_CLUSTER = "must be the URL of a Ray dashboard"
CALLS = {
    "data": [Call("data inspect shards", told="generated-iemocap-small")],
    "train": [Call("train --resume RUN", 1, "is finished; there is nothing to resume")],
    "plan": [Call(f"plan sweep {CONFIGURED} --trials 2", told="trials")],
    "sweep": [Call(f"sweep {CONFIGURED} --print_config", told="trials: ")],
    "ablate": [Call(f"ablate {CONFIGURED} --parts base --seeds 1 --name parts", told="base model: ", encoding="ascii")],
    "grid": [
        Call(f"grid {CONFIGURED} --loss.window 2,4 --seeds 1 --name windows", told="study       windows (2 complete)")
    ],
    "study": [Call(f"study study.yaml {SMALL} --seeds 1 --name filed", told="narrow")],
    "reproduce": [Call(f"reproduce iemocap {SMALL} --only table3 --seeds 1", told="page        ")],
    "resume": [Call("resume small", told="best trial")],
    "list": [Call("list", told="finished  ")],
    "show": [Call("show small", told="small")],
    "report": [Call("report small", told="report    ")],
    "doctor": [Call("doctor small", told="agree")],
    "gc": [Call("gc small", told="freed ")],
    "evaluate": [Call("evaluate RUN --split val", told="val WF1 "), Call("evaluate nowhere", 2, "nowhere")],
    "perturb": [
        Call("perturb RUN --draws 2", told="+-", encoding="ascii"),
        Call("perturb TRIAL --draws 2", 1, "dclf: error: run "),
    ],
    "cluster": [
        Call("cluster status", 1, "no local cluster is up"),
        Call("cluster down", told="no local cluster is up"),
    ],
    "submit": [Call("submit -- train iemocap", 1, NO_CLUSTER)],
    "jobs": [Call("jobs", 1, NO_CLUSTER)],
    "logs": [Call("logs one", 1, NO_CLUSTER)],
    "stop": [Call("stop one", 1, NO_CLUSTER)],
    "ui": [Call("ui --uri sqlite:///nowhere.db", 1, "must be the MLflow store of earlier runs")],
    "track": [Call("track send nowhere.jsonl", 1, "nowhere.jsonl")],
    "version": [Call("version", told="dclf ")],
}


class Project:
    """A folder in which commands are run.

    Args:
        folder: the same.
        processes: marks what is started.
    """

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.folder = folder
        self._processes = processes

    def run(self, words: str | list[str], shell: str = "", encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
        """A command to its end, and that of all that it started.

        Args:
            words: after ``dclf``.
            shell: what follows the command in a shell, such as ``| head -n 1``; the exit code is the command's.
            encoding: of the command's output.
        """
        words = words.split() if isinstance(words, str) else words
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f'"$@" {shell}', "bash", DCLF, *words],
            cwd=self.folder,
            env={**self._processes.environment, "PYTHONIOENCODING": encoding},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        self._processes.wait_until_gone(GONE_S)
        return done

    @cached_property
    def trained(self) -> subprocess.CompletedProcess[str]:
        """A run that nobody watches: both streams of the command are closed."""
        return self.run(["train", *CONFIGURED.split()], ">&- 2>&-")

    @cached_property
    def searched(self) -> subprocess.CompletedProcess[str]:
        """A sweep whose reader leaves after the first line."""
        words = f"sweep {CONFIGURED} --trials 2 --concurrency 2 --name small --log plain"
        return self.run(words, "2>&1 | head -n 1")

    @property
    def run_id(self) -> str:
        """Of the finished run."""
        assert self.trained.returncode == 0
        (folder,) = (self.folder / "dclf-runs" / "checkpoints").iterdir()
        return folder.name

    @property
    def study(self) -> StudyFolder:
        """The finished sweep."""
        assert self.searched.returncode == 0
        return StudyFolder.open(self.folder / "dclf-runs" / "studies", "small")


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.end()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, processes: Processes) -> Project:
    folder = tmp_path_factory.mktemp("processes") / PROJECT
    folder.mkdir()
    (folder / "study.yaml").write_text(FILE, encoding="utf-8")
    made = Project(folder, processes)
    done = made.run("data generate shards --preset iemocap-small --dialogues 12")
    assert done.returncode == 0, done.stderr
    return made


def test_every_command_is_called() -> None:
    assert CALLS.keys() == COMMANDS.keys()


def test_a_run_with_closed_streams_is_finished(project: Project) -> None:
    done = project.trained
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    evaluated = project.run(["evaluate", project.run_id, "--output", "json"])
    assert 0 <= json.loads(evaluated.stdout)["scores"]["wf1"] <= 1


def test_a_sweep_goes_on_when_nobody_reads_its_progress(project: Project) -> None:
    done = project.searched
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"study small: 2 trials by .*\n", done.stdout)
    states = [trial.state for trial in project.study.ledger.trials.values()]
    assert len(states) == 2
    assert set(states) <= {"complete", "pruned"}
    assert list(project.study.path.rglob("report.html"))


@pytest.mark.parametrize(
    "call", [call for calls in CALLS.values() for call in calls], ids=lambda call: " ".join(call.words.split()[:2])
)
def test_it_ends(call: Call, project: Project) -> None:
    trial = next(run.run_id for trial in project.study.ledger.trials.values() for run in trial.runs.values())
    places = {"RUN": project.run_id, "TRIAL": trial}
    done = project.run([places.get(word, word) for word in call.words.split()], encoding=call.encoding)
    assert done.returncode == call.code, done.stderr
    assert call.told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if call.encoding == "ascii":
        assert done.stdout.isascii()


def test_the_next_command_clears_what_a_killed_sweep_left(project: Project, processes: Processes) -> None:
    with tempfile.TemporaryDirectory(prefix="dt-", dir="/tmp") as place:  # Ray's sockets want a short name
        elsewhere = {**processes.environment, "TMPDIR": place}
        words = f"sweep {CONFIGURED} --trials 2 --name killed --quiet"
        with subprocess.Popen([DCLF, *words.split()], cwd=project.folder, env=elsewhere) as sweep:
            wait_until(lambda: any(Path(place).glob(f"{PREFIX}study-*")) or sweep.poll() is not None, LIMIT_S)
            sweep.kill()
        assert sweep.returncode == -signal.SIGKILL
        assert list(Path(place).glob(f"{PREFIX}study-*"))
        processes.wait_until_gone(GONE_S)
        done = subprocess.run(
            [DCLF, "evaluate", project.run_id], cwd=project.folder, env=elsewhere, check=False, timeout=LIMIT_S
        )
        assert done.returncode == 0
        assert not list(Path(place).glob(f"{PREFIX}*"))


def test_the_ui_ends_with_its_terminal(project: Project, processes: Processes) -> None:
    assert project.trained.returncode == 0
    with subprocess.Popen(
        [DCLF, "ui"],
        cwd=project.folder,
        env=processes.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as ui:
        assert ui.stdout is not None
        assert "MLflow UI: http://" in ui.stdout.readline()
        os.killpg(ui.pid, signal.SIGHUP)
        _, said = ui.communicate(timeout=LIMIT_S)
    assert (ui.returncode, said) == (129, "dclf: ended by SIGHUP\n")
    processes.wait_until_gone(GONE_S)
