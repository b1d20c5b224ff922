"""Every command of the command line as the installed program, on a small store, each waited for to its end."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
import ray

from cluster.session import ray_session
from cluster.temporary import PREFIX
from dclf.uris import sqlite_uri
from tests.dclf.test_uris import NASTY
from tests.proxies import PROXIES
from tests.tune.commands.project import CONFIGURED, DCLF, GONE_S, LIMIT_S, SMALL, Project
from tests.tune.runner.processes import joining
from tests.tune.tracking.server import wait_until
from tune.commands.main import COMMANDS, main
from tune.tracking.find import find_run
from tune.tracking.store import connect, open_client

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
FILE = """\
base: iemocap
title: The framework and its base model
variants:
  listed:
    - {name: whole, set: {}}
    - {name: bare, set: {loss.ablate: base}}
"""


@dataclass(frozen=True)
class Call:
    """A command line.

    Attributes:
        words: after ``dclf``; RUN stands for the id of the finished run.
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
SEARCHED = "small"
CALLS = (
    Call("data inspect shards", told="generated-iemocap-small"),
    # The second and the third comparison take over what the first has trained, the fourth does so with half of its own.
    Call(f"ablate {CONFIGURED} --parts base --seeds 1 --name parts", 0, "base model: ", encoding="ascii", joins=True),
    Call(f"grid {CONFIGURED} --loss.ablate none,base --seeds 1 --name both", told="both (2 complete)", joins=True),
    Call(f"study study.yaml {SMALL} --seeds 1 --name filed", told="bare", joins=True),
    Call(f"reproduce iemocap {SMALL} --only table1 --seeds 1", told="page        ", joins=True),
    Call("leaderboard --shards shards --models nobody", 2, "--models: must be among all, aghmn"),
    Call(f"resume {SEARCHED}", told="best trial", joins=True),
    Call("list", told="finished  "),
    Call(f"runs --study {SEARCHED}", told=f"trial 0 of {SEARCHED}"),
    Call(f"compare RUN {SEARCHED}/0 --utterances 3", told=" utterances of val are predicted differently"),
    Call(f"show {SEARCHED}", told="small"),
    Call(f"report {SEARCHED}", told="report    "),
    Call(f"predict {SEARCHED}/0 shards --split val", told=" utterances of "),
    Call(f"gc {SEARCHED}", told="freed "),
    Call("perturb RUN --draws 2", told="+-", encoding="ascii"),
    Call("cluster status", 1, "no local cluster is up"),
    Call("cluster down", told="no local cluster is up"),
    Call("submit -- train iemocap", 2, NO_CLUSTER),
    Call("jobs", 2, NO_CLUSTER),
    Call("logs one", 2, NO_CLUSTER),
    Call("stop one", 2, NO_CLUSTER),
    Call("track send nowhere.jsonl", 2, "nowhere.jsonl"),
    Call("completion bash", told="complete -o bashdefault -F _shtab_dclf dclf"),
    Call("version", told="dclf "),
)
IN_TESTS_OF_THEIR_OWN = {"train", "sweep", "doctor", "evaluate", "plan", "ui", "dashboard"}


@pytest.fixture(scope="module", autouse=True)
def study_file(project: Project) -> None:
    (project.folder / "study.yaml").write_text(FILE, encoding="utf-8")


@pytest.fixture(scope="module")
def on_ray() -> Iterator[dict[str, str]]:
    """Variables of commands that join a Ray."""
    with ray_session(num_cpus=2):
        yield joining(ray.get_runtime_context().gcs_address)


@pytest.fixture(scope="module")
def searched(project: Project, on_ray: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A sweep whose reader leaves after the first line."""
    words = f"sweep {CONFIGURED} --trials 2 --concurrency 1 --name {SEARCHED} --log plain"
    return project.run(words, "2>&1 | head -n 1", variables=on_ray)


def test_every_command_is_called() -> None:
    assert {call.words.split()[0] for call in CALLS} | IN_TESTS_OF_THEIR_OWN == COMMANDS.keys()


def test_a_run_with_closed_streams_is_finished(project: Project) -> None:
    done = project.trained
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    run = open_client(project.uri).get_run(project.run_id)
    assert run.info.status == "FINISHED"
    assert {"val/wf1", "test/wf1"} <= run.data.metrics.keys()


def test_a_sweep_goes_on_when_nobody_reads_its_progress(
    project: Project, searched: subprocess.CompletedProcess[str]
) -> None:
    assert (searched.returncode, searched.stderr) == (0, "")
    assert re.fullmatch(r"study small: 2 trials by .*\n", searched.stdout)
    study = project.study(SEARCHED)
    states = [trial.state for trial in study.ledger.trials.values()]
    assert len(states) == 2
    assert set(states) <= {"complete", "pruned"}
    assert list(study.path.rglob("report.html"))


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call.words.split()[:2]))
def test_it_ends(call: Call, project: Project, on_ray: dict[str, str]) -> None:
    variables = {"PYTHONIOENCODING": call.encoding, **(on_ray if call.joins else {})}
    words = [project.run_id if word == "RUN" else word for word in call.words.split()]
    done = project.run(words, variables=variables)
    assert done.returncode == call.code, done.stderr
    assert call.told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if call.encoding == "ascii":
        assert done.stdout.isascii()


def test_a_copy_works_after_doctor_fix_and_leaves_the_original_alone(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id, copy = project.run_id, tmp_path / "copy" / NASTY
    shutil.copytree(project.folder, copy)
    before = contents(project.folder)
    monkeypatch.chdir(copy)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for words in (["evaluate", run_id], ["perturb", run_id], ["train", "--resume", run_id]):
        assert main(words) == 1
        output = capsys.readouterr().err
        assert f"was moved or copied from {project.folder / 'dclf-runs'}" in output
        assert output.endswith("mend it with: dclf doctor --fix\n")
    assert main(["doctor"]) == 1
    assert "mend it with: dclf doctor --fix" in capsys.readouterr().out
    doctor = project.run(["doctor", "--fix"], folder=copy)
    assert doctor.returncode == 0, doctor.stderr
    uri = sqlite_uri(copy / "dclf-runs" / "mlflow.db")
    record = find_run(uri, run_id)
    assert record.checkpoint == str(copy / "dclf-runs" / "checkpoints" / run_id)
    assert record.config["data"]["shards"] == str(copy / "shards")
    store = connect(uri, "dclf")
    store.client.log_text(store.client.create_run(store.experiment_id).info.run_id, "new", "note.txt")
    assert len(list((copy / "dclf-runs" / "artifacts").glob("dclf/*/artifacts/note.txt"))) == 1
    assert contents(project.folder) == before
    # Now it is a project that was moved, in a process that has seen no other.
    with away(project.folder):
        evaluated = project.run(["evaluate", run_id, "--output", "json"], folder=copy)
    assert evaluated.returncode == 0, evaluated.stderr
    metrics = open_client(project.uri).get_run(run_id).data.metrics
    scores = json.loads(evaluated.stdout)["scores"]
    assert [scores["wf1"], scores["wa"]] == pytest.approx([metrics["test/wf1"], metrics["test/wa"]])


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """The folder is elsewhere for the length of a block."""
    elsewhere = folder.rename(folder.with_name("away"))
    try:
        yield
    finally:
        elsewhere.rename(folder)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_every_file_lands_in_the_folder(project: Project) -> None:
    assert [path.name for path in project.folder.parent.iterdir()] == [NASTY]
    assert sorted(path.name for path in project.folder.iterdir()) == ["dclf-runs", "shards", "study.yaml"]
    model = project.folder / "dclf-runs" / "artifacts" / "dclf" / "models"
    assert list(model.glob("m-*/artifacts/MLmodel"))


def test_the_next_command_clears_what_a_killed_sweep_left(
    project: Project, on_ray: dict[str, str], tmp_path: Path
) -> None:
    elsewhere = {**project.processes.environment, "TMPDIR": str(tmp_path)}
    words = f"sweep {CONFIGURED} --trials 2 --name killed --quiet"
    with subprocess.Popen([DCLF, *words.split()], cwd=project.folder, env={**elsewhere, **on_ray}) as sweep:
        wait_until(lambda: any(tmp_path.glob(f"{PREFIX}study-*")) or sweep.poll() is not None, LIMIT_S)
        sweep.kill()
    assert sweep.returncode == -signal.SIGKILL
    assert list(tmp_path.glob(f"{PREFIX}study-*"))
    project.processes.wait_until_gone(GONE_S)
    planned = project.run(f"plan sweep {CONFIGURED} --trials 2", variables=elsewhere)
    assert planned.returncode == 0, planned.stderr
    assert "trials" in planned.stdout
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def test_the_ui_opens_the_page_of_a_run_and_ends_on_an_interrupt(project: Project, tmp_path: Path) -> None:
    assert project.trained.returncode == 0
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n', encoding="utf-8")
    browser.chmod(0o755)
    with subprocess.Popen(
        [DCLF, "ui", project.run_id[:8], "--open"],
        cwd=project.folder,
        env={**project.processes.environment, **PROXIES, "BROWSER": f"{browser} %s"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as ui:
        assert ui.stdout is not None
        line = ui.stdout.readline()
        fragment = rf"/#/experiments/\d+/runs/{project.run_id}\?workflowType=machine_learning"
        ((link, address),) = re.findall(rf"MLflow UI: ((http://127\.0\.0\.1:\d+){fragment}) \(Ctrl-C ends it\)", line)
        with urlopen(address, timeout=10) as page:
            assert b"<html" in page.read()
        os.killpg(ui.pid, signal.SIGINT)
        _, err = ui.communicate(timeout=LIMIT_S)
    assert (ui.returncode, err) == (0, "")
    assert (tmp_path / "opened").read_text(encoding="utf-8").strip() == link
    project.processes.wait_until_gone(GONE_S)
    with pytest.raises(OSError, match="refused"):
        urlopen(address, timeout=2)
