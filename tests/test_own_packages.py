"""The packages on the pages of docs/, installed beside dclf: tested, trained with here, and searched in a job.

The training is also one in a surrounding where proxy, folder for temporary files, home folder and processors are all
against it.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cluster.local.endpoints import fetch_json
from cluster.local.state import ADMIN, LocalCluster
from cluster.machine import machine_cpus
from tests.own_packages import PAGES, files_of, install, write_packages
from tests.proxies import behind_proxy
from tune.studies import open_study

pytestmark = [pytest.mark.ray, pytest.mark.mlflow, pytest.mark.slow]
Program = Callable[..., subprocess.CompletedProcess[str]]
BASE = """
data: {shards: shards, modalities: [text]}
train: {epochs: 1, batch_size: 4}
sweep: {storage: studies, scheduler: none, concurrency: 1, trials: 2}
"""
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a configuration, the packages' sources and where they are installed."""
    folder = tmp_path_factory.mktemp("project")
    install(write_packages(folder / "sources"), folder / "site")
    (folder / "my.yaml").write_text(BASE, encoding="utf-8")
    # Of the same class, in a file that is installed nowhere.
    shutil.copy(folder / "site" / "running_mean.py", folder / "beside.py")
    return folder


Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def program(project: Path) -> Program:
    """A program in the folder of a user behind a proxy, to which the packages are installed."""

    def run(name: str, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        others = ("RAY_", "MLFLOW_TRACKING", "PYTHONPATH", "XDG_")
        environment = {key: value for key, value in behind_proxy().items() if not key.startswith(others)}
        done = subprocess.run(
            [BIN / name, *words],
            cwd=project,
            env={**environment, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(project / "site"), **variables},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def shards(project: Path, program: Program) -> Path:
    """What the own importer makes of the table that its test writes."""
    test = project / "sources" / "own-importer" / "tests" / "test_utterance_rows.py"
    runpy.run_path(str(test))["write_table"](project / "rows.csv")
    done = program("dclf", "data", "import", "utterance-rows", "rows.csv", "shards", "--dataset", "nine")
    assert done.stdout == "shards: 9 dialogues (3 train, 3 val, 3 test), 27 utterances\n"
    return project / "shards"


@pytest.fixture
def adverse(shared_cluster: LocalCluster, tmp_path: Path) -> Mapping[str, str]:
    """Variables of a user without a home folder, whose folder for temporary files has a path longer than any socket's
    may be, and whose MLflow server wants a password.
    """
    temporary = tmp_path / ("x" * 150)
    temporary.mkdir()
    keys = shared_cluster.environment().items()
    server = {key: value for key, value in keys if key.startswith("MLFLOW_TRACKING")}
    return {"HOME": "/dev/null/home", "TMPDIR": str(temporary), **server}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_whole_package(page: str) -> None:
    names = set(files_of(page))
    assert "pyproject.toml" in names
    assert len(names) == 3


def test_the_packages_pass_their_contract_tests(project: Path, program: Program) -> None:
    tests = sorted((project / "sources").glob("*/tests"))
    own = ["-q", "-W", "error", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", project]
    done = program("pytest", *own, *tests)
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_an_own_importer_has_its_options_in_its_help(program: Program) -> None:
    output = " ".join(program("dclf", "data", "import", "utterance-rows", "--help").stdout.split())
    assert "of the columns with text features (type: str, default: text_)" in output
    assert "utterance-rows" in program("dclf", "data", "import", "--help").stdout


def test_an_own_model_and_term_train_where_everything_is_against_it(
    shards: Path, program: Program, shared_cluster: LocalCluster, adverse: Mapping[str, str]
) -> None:
    own = ("--model.name", "running-mean", "--model.options.width", "6", "--loss.terms.focal", "0.5")
    crowded = ("--train.cpus_per_worker", str(machine_cpus() + 1))
    words = ("my.yaml", *own, *crowded, "--train.epochs", "2", "--track.experiment", "own")
    done = program("dclf", "train", *words, "--log", "plain", "--output", "json", **adverse)
    assert "focal 0." in done.stderr
    assert "Traceback" not in done.stderr
    assert "raylet" not in done.stderr
    assert f"warning: {machine_cpus() + 1} threads " in done.stderr
    assert [line.split()[1] for line in done.stderr.splitlines() if line.startswith("epoch ")] == ["1/2", "2/2"]
    assert done.stdout.count("\n") == 1, "Ray's and MLflow's own words stay out of the result"
    run = json.loads(done.stdout)
    assert 0 <= run["test"]["wf1"] <= 1
    url = f"{shared_cluster.mlflow_uri}/api/2.0/mlflow/runs/get?run_id={run['run_id']}"
    recorded = fetch_json(url, user=ADMIN, password=shared_cluster.mlflow_password)["run"]
    metrics = {metric["key"]: metric["value"] for metric in recorded["data"]["metrics"]}
    assert recorded["info"]["status"] == "FINISHED"
    assert metrics["test/wf1"] == pytest.approx(run["test"]["wf1"])
    assert "val/wf1" in metrics
    assert not (Path(adverse["TMPDIR"]) / "ray").exists()
    # The model is made from its checkpoint by the same name.
    scored = json.loads(program("dclf", "evaluate", run["run_id"], "--output", "json", **adverse).stdout)
    assert scored["scores"]["wf1"] == pytest.approx(run["test"]["wf1"])


def test_an_own_model_sampler_and_term_are_searched_in_a_job(
    shards: Path, project: Path, program: Program, shared_cluster: LocalCluster
) -> None:
    space = {
        "model.options.width": {"low": 4, "high": 8, "int": True},
        "loss.terms.focal_term:focal": {"low": 0, "high": 1, "step": 0.25},
    }
    # The model's class lies in the folder that is sent along, the rest is installed.
    own = ("--model.name", "beside:RunningMean", "--model.options.width", "6", "--loss.terms.focal_term:focal", "0.5")
    words = ("sweep", "my.yaml", "--sampler", "even", "--name", "searched", "--sweep.space", json.dumps(space), *own)
    program("dclf", "submit", "--folder", shared_cluster.folder, "--exclude", "sources,site", "--", *words)
    study = open_study("searched", storage=project / "studies")
    assert [trial.state for trial in study.folder.ledger.trials.values()] == ["complete", "complete"]
    assert study.folder.definition.sweep.sampler == "even"
    assert set(study.best_config.loss.terms) == {"focal_term:focal"}
    assert study.best_config.model.name == "beside:RunningMean"
