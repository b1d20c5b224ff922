"""Jobs on a real cluster of two nodes with its MLflow server, sent by the command as a user would."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster.jobs import versions
from cluster.local.endpoints import fetch_json
from cluster.local.nodes import known_nodes, node_environment, worker_command
from cluster.local.processes import marked
from cluster.local.state import LocalCluster
from dclf.data import write_shards
from dclf.data.generator import generate
from tests.ports import free_ports
from tests.tune.commands.terminal import Terminal
from tests.tune.runner.processes import Processes, kill_tree
from tests.tune.tracking.server import wait_until
from tune.analysis.summary import list_studies
from tune.commands.main import main

pytestmark = [pytest.mark.ray, pytest.mark.mlflow, pytest.mark.slow]
Streams = pytest.CaptureFixture[str]
CONFIG = """
data: {shards: shards, modalities: [text]}
model: {name: ddin}
train: {epochs: 1, batch_size: 8}
sweep: {storage: studies, sampler: random, scheduler: none, concurrency: 1}
"""
SWEEP = ("sweep", "my.yaml", "--trials", "1")


@pytest.fixture(scope="module")
def cluster(shared_cluster: LocalCluster) -> LocalCluster:
    return shared_cluster


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: a configuration, shards, and later studies."""
    place = tmp_path_factory.mktemp("project")
    info, dialogues = generate("iemocap-small", seed=3)
    write_shards(dialogues, place / "shards", info)
    (place / "my.yaml").write_text(CONFIG, encoding="utf-8")
    return place


@pytest.fixture
def dclf(
    cluster: LocalCluster, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> Callable[..., tuple[int, str, str]]:
    """The command in this process, in the user's folder; what it answers and shows."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_TRACKING", "RAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(project)

    def run(command: str, *words: str) -> tuple[int, str, str]:
        code = main([command, "--folder", str(cluster.folder), *words])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


Dclf = Callable[..., tuple[int, str, str]]


def jobs_of(dclf: Dclf) -> dict[str, dict[str, Any]]:
    return {job["name"]: job for job in json.loads(dclf("jobs", "--output", "json")[1])["jobs"]}


def test_a_submitted_sweep_finishes(cluster: LocalCluster, project: Path, dclf: Dclf) -> None:
    code, out, err = dclf("submit", "--name", "first", "--", *SWEEP, "--name", "gammas")
    assert code == 0, out + err
    assert "every node is ready: head, node-1" in out
    assert "best validation WF1" in out
    assert out.index("node is ready") < out.index("gammas")
    [study] = [study for study in list_studies(str(project / "studies")) if study["name"] == "gammas"]
    assert study["trials"]["complete"] == 1
    assert not list((project / "studies").glob(".nodes-*"))
    job = jobs_of(dclf)["first"]
    assert job["state"] == "SUCCEEDED"
    assert job["facts"]["study"] == "gammas"
    assert "--name gammas" in job["facts"]["command"]
    assert dclf("logs", "first")[1] == out
    assert [path.name for path in (cluster.folder / "artifacts").rglob("plan.txt")], "the server keeps a job's files"
    assert_no_secret(cluster)


def assert_no_secret(cluster: LocalCluster) -> None:
    """Neither in what the Jobs API tells, nor in what MLflow has of any run, on any command line or in any log."""
    jobs = json.dumps(fetch_json(f"{cluster.jobs_address}/api/jobs/", bearer=cluster.token))
    lines = "\n".join(" ".join(process.cmdline()) for process in marked(cluster.mark))
    runs = (cluster.folder / "mlflow.db").read_bytes().decode(errors="replace")
    folders = (cluster.folder / "logs", cluster.ray_folder / "session_latest" / "logs")
    logs = [path.read_text(errors="replace") for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert "gamma_ca" in runs
    assert len(logs) > 10
    for secret in (cluster.token, cluster.mlflow_password):
        assert not [text for text in (jobs, lines, runs, *logs) if secret in text]


def test_a_report_is_written_by_the_head_alone(project: Path, dclf: Dclf) -> None:
    if not (project / "studies" / "gammas").exists():
        # The test above ran in another process.
        assert dclf("submit", "--", *SWEEP, "--name", "gammas")[0] == 0
    code, out, err = dclf("submit", "--", "report", "gammas", "--storage", "studies", "--out", "paper")
    assert code == 0, out + err
    assert "the head node is ready" in out
    assert (project / "paper" / "report.html").is_file()


def test_the_exit_code_and_the_reason_come_back_and_the_name_is_taken(dclf: Dclf) -> None:
    name = "taken"
    code, out, _ = dclf("submit", "--name", name, "--", *SWEEP, "--data.shards", "nowhere")
    assert code == 2
    assert "nowhere" in out
    assert "is ready" not in out
    before = jobs_of(dclf)
    code, _, err = dclf("submit", "--name", name, "--", *SWEEP)
    assert code == 2
    assert f"a job named {name} is on the cluster already; choose another" in err
    assert jobs_of(dclf).keys() == before.keys()


def test_a_wrong_token_is_refused(dclf: Dclf, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = ["--folder", "none", "--address", cluster.jobs_address]
    for command in (["submit", *elsewhere, "--", *SWEEP], ["jobs", *elsewhere], ["stop", *elsewhere, "first"]):
        monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        assert main(command) == 1
    assert dclf("jobs", "--address", cluster.jobs_address)[0] == 0, "the local cluster's own token is known"


def test_without_a_token_it_is_asked_for(
    dclf: Dclf, cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["submit", "--folder", "none", "--address", cluster.jobs_address, "--", *SWEEP]) == 1
    assert "the token is needed; put the cluster's into RAY_AUTH_TOKEN" in capsys.readouterr().err


def test_nobody_at_the_address(dclf: Dclf) -> None:
    [port] = free_ports(1)
    code, _, err = dclf("submit", "--address", f"http://127.0.0.1:{port}", "--", *SWEEP)
    assert code == 1
    assert f"nobody answers at http://127.0.0.1:{port}" in err
    assert "check that the cluster is up" in err


def test_another_server_at_the_address(dclf: Dclf, cluster: LocalCluster) -> None:
    code, _, err = dclf("submit", "--address", cluster.mlflow_uri, "--", *SWEEP)
    assert code == 1
    assert "Ray" in err


def test_other_versions_are_refused(dclf: Dclf, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = versions.own_versions()
    monkeypatch.setattr(versions, "own_versions", lambda: ours | {"ray": "2.0.0", "dclf": "9.9"})
    code, _, err = dclf("submit", "--", *SWEEP)
    assert code == 1
    assert f"has dclf {ours['dclf']} (here 9.9), ray {ours['ray']} (here 2.0.0)" in err
    assert "submit from an environment with the cluster's versions" in err


def test_an_unknown_job_is_said_to_be(dclf: Dclf) -> None:
    for command in ("logs", "stop"):
        code, _, err = dclf(command, "nothing")
        assert code == 2
        assert "no job named 'nothing'" in err
        assert "`dclf jobs` lists them" in err


def test_a_job_goes_on_without_its_follower_and_can_be_stopped(
    dclf: Dclf, cluster: LocalCluster, project: Path, processes: Processes
) -> None:
    words = ("submit", "--folder", str(cluster.folder), "--name", "long", "--", *SWEEP[:2], "--trials", "500")
    follower = processes.dclf(project, *words, "--name", "long")
    follower.wait_for("study long")
    follower.signal(signal.SIGINT)
    assert follower.end() == 130
    assert "the job goes on; dclf logs long -f follows it, dclf stop long stops it" in follower.output
    assert jobs_of(dclf)["long"]["state"] == "RUNNING"
    for answer, code, message in (("d", 0, "the job goes on"), ("s", 0, "job long stopped")):
        terminal = Terminal(project, processes.environment, "logs", "long", "-f", "--folder", str(cluster.folder))
        terminal.wait_for("study long")
        terminal.type("\x03")
        terminal.wait_for("stop the job long, or detach from it? [s/D]")
        terminal.type(f"{answer}\n")
        terminal.wait_for(message)
        assert terminal.end() == code
    code, _, err = dclf("stop", "long")
    assert code == 0
    assert f"go on with: dclf submit -- resume long --storage {project / 'studies'}" in err
    assert dclf("logs", "long", "-f")[0] == 143
    assert not [process for process in marked(cluster.mark) if "tune.commands.job_entry" in process.cmdline()]


@pytest.fixture
def blind_node(cluster: LocalCluster, project: Path, tmp_path: Path) -> Iterator[str]:
    """A third node, which sees folders of its own where the others see shards and studies."""
    (project / "studies").mkdir(exist_ok=True)
    hide = " && ".join(f"mount -t tmpfs tmpfs {project / place}" for place in ("studies", "shards"))
    inside = ["unshare", "--mount", "sh", "-c", f'{hide} && exec "$@"', "sh"]
    if os.geteuid() or subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a node with a file system of its own needs the rights of root")
    with (tmp_path / "blind.log").open("wb") as log:
        node = subprocess.Popen(
            [*inside, *worker_command(cluster, "blind")],
            env=node_environment(cluster),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: known_nodes(cluster).get("blind", {}).get("state") == "ALIVE", 120)
        yield "blind"
    finally:
        kill_tree(psutil.Process(node.pid))
        node.wait()


def test_a_node_with_other_folders_is_named_and_nothing_starts(dclf: Dclf, project: Path, blind_node: str) -> None:
    code, out, _ = dclf("submit", "--", *SWEEP, "--name", "unshared")
    assert code == 1
    assert f"node {blind_node}: sweep.storage: {project / 'studies'} is not the folder that the head node sees" in out
    assert f"node {blind_node}: data.shards: cannot read {project / 'shards'}" in out
    assert "node head" not in out
    assert "mount the same folder on every node" in out
    assert not (project / "studies" / "unshared").exists()
