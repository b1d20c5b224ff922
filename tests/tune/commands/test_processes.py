"""Every command of the command line as the installed program, on a small store, each waited for to its end."""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray

from cluster.ray_token import TOKEN
from cluster.session import ray_session
from cluster.temporary import PREFIX
from tests.dclf.test_uris import NASTY
from tests.tune.commands.project import CONFIGURED, DCLF, GONE_S, LIMIT_S, SMALL, Project
from tests.tune.tracking.server import wait_until
from tune.commands.main import COMMANDS
from tune.tracking.store import open_client

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
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
        joins: a Ray that is there already; otherwise it starts one of its own where it needs any.
    """

    words: str
    code: int = 0
    told: str = ""
    encoding: str = "utf-8"
    joins: bool = False


NO_CLUSTER = "must be the URL of a Ray dashboard"
CALLS = {
    "data": [Call("data inspect shards", told="generated-iemocap-small")],
    "train": [Call("train --resume RUN", 1, "is finished; there is nothing to resume")],
    "plan": [Call(f"plan sweep {CONFIGURED} --trials 2", told="trials")],
    "sweep": [Call(f"sweep {CONFIGURED} --print_config", told="trials: ")],
    "ablate": [
        Call(
            f"ablate {CONFIGURED} --parts base --seeds 1 --name parts", 0, "base model: ", encoding="ascii", joins=True
        )
    ],
    "grid": [
        Call(f"grid {CONFIGURED} --loss.window 2,4 --seeds 1 --name windows", 0, "windows (2 complete)", joins=True)
    ],
    "study": [Call(f"study study.yaml {SMALL} --seeds 1 --name filed", told="narrow", joins=True)],
    "reproduce": [Call(f"reproduce iemocap {SMALL} --only table3 --seeds 1", told="page        ", joins=True)],
    "resume": [Call("resume small", told="best trial", joins=True)],
    "list": [Call("list", told="finished  ")],
    "show": [Call("show small", told="small")],
    "report": [Call("report small", told="report    ")],
    "doctor": [Call("doctor small", told="agree")],
    "gc": [Call("gc small", told="freed ")],
    "evaluate": [Call("evaluate RUN --split val", told="val WF1 "), Call("evaluate nowhere", 2, "nowhere")],
    "predict": [
        Call("predict RUN shards --split test", told=" utterances of "),
        Call("predict TRIAL shards --split val", told="probability"),
    ],
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


@pytest.fixture(scope="module", autouse=True)
def study_file(project: Project) -> None:
    (project.folder / "study.yaml").write_text(FILE, encoding="utf-8")


@pytest.fixture(scope="module")
def on_ray() -> Iterator[dict[str, str]]:
    """Variables of commands that join a Ray."""
    with ray_session(num_cpus=3):
        token = {TOKEN: os.environ[TOKEN]} if TOKEN in os.environ else {}
        yield {"RAY_ADDRESS": ray.get_runtime_context().gcs_address, **token}


def test_every_command_is_called() -> None:
    assert CALLS.keys() == COMMANDS.keys()


def test_a_run_with_closed_streams_is_finished(project: Project) -> None:
    done = project.trained
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    metrics = open_client(project.uri).get_run(project.run_id).data.metrics
    evaluated = project.run(["evaluate", project.run_id, "--output", "json"])
    scores = json.loads(evaluated.stdout)["scores"]
    assert [scores["wf1"], scores["wa"]] == pytest.approx([metrics["test/wf1"], metrics["test/wa"]])


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
def test_it_ends(call: Call, project: Project, request: pytest.FixtureRequest) -> None:
    trial = next(run.run_id for trial in project.study.ledger.trials.values() for run in trial.runs.values())
    places = {"RUN": project.run_id, "TRIAL": trial}
    variables = {"PYTHONIOENCODING": call.encoding, **(request.getfixturevalue("on_ray") if call.joins else {})}
    done = project.run([places.get(word, word) for word in call.words.split()], variables=variables)
    assert done.returncode == call.code, done.stderr
    assert call.told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if call.encoding == "ascii":
        assert done.stdout.isascii()


def test_every_file_lands_in_the_folder(project: Project) -> None:
    assert [path.name for path in project.folder.parent.iterdir()] == [NASTY]
    assert sorted(path.name for path in project.folder.iterdir()) == ["dclf-runs", "shards", "study.yaml"]
    model = project.folder / "dclf-runs" / "artifacts" / "dclf" / "models"
    assert list(model.glob("m-*/artifacts/MLmodel"))


def test_the_next_command_clears_what_a_killed_sweep_left(project: Project) -> None:
    with tempfile.TemporaryDirectory(prefix="dt-", dir="/tmp") as place:  # Ray's sockets want a short name
        elsewhere = {**project.processes.environment, "TMPDIR": place}
        words = f"sweep {CONFIGURED} --trials 2 --name killed --quiet"
        with subprocess.Popen([DCLF, *words.split()], cwd=project.folder, env=elsewhere) as sweep:
            wait_until(lambda: any(Path(place).glob(f"{PREFIX}study-*")) or sweep.poll() is not None, LIMIT_S)
            sweep.kill()
        assert sweep.returncode == -signal.SIGKILL
        assert list(Path(place).glob(f"{PREFIX}study-*"))
        project.processes.wait_until_gone(GONE_S)
        done = subprocess.run(
            [DCLF, "evaluate", project.run_id], cwd=project.folder, env=elsewhere, check=False, timeout=LIMIT_S
        )
        assert done.returncode == 0
        assert not list(Path(place).glob(f"{PREFIX}*"))


def test_the_ui_ends_with_its_terminal(project: Project) -> None:
    assert project.trained.returncode == 0
    with subprocess.Popen(
        [DCLF, "ui"],
        cwd=project.folder,
        env=project.processes.environment,
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
    project.processes.wait_until_gone(GONE_S)
