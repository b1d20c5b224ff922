"""The packages on the pages of docs/, installed beside dclf: tested, trained with and searched, here and as jobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.local.state import LocalCluster
from tests.own_packages import PAGES, files_of, install, write_packages
from tune.studies import open_study

pytestmark = [pytest.mark.ray, pytest.mark.mlflow, pytest.mark.slow]
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
    """A program in the user's folder, to which the packages are installed."""

    def run(name: str, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        others = ("RAY_", "MLFLOW_TRACKING", "PYTHONPATH")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
        done = subprocess.run(
            [BIN / name, *words],
            cwd=project,
            env=kept | {"PYTHONPATH": str(project / "site")},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def shards(project: Path, program: Program) -> Path:
    """What the own importer makes of the table that its test writes."""
    made = "import sys; sys.path.insert(0, sys.argv[1]); import test_utterance_rows as t; from pathlib import Path; "
    made += "t.write_table(Path('rows.csv'))"
    program("python", "-c", made, project / "sources" / "own-importer" / "tests")
    done = program("dclf", "data", "import", "utterance-rows", "rows.csv", "shards", "--dataset", "nine")
    assert done.stdout == "shards: 9 dialogues (3 train, 3 val, 3 test), 27 utterances\n"
    return project / "shards"


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
    shown = " ".join(program("dclf", "data", "import", "utterance-rows", "--help").stdout.split())
    assert "of the columns with text features (type: str, default: text_)" in shown
    assert "utterance-rows" in program("dclf", "data", "import", "--help").stdout
    refused = program("dclf", "data", "import", "utterance_rows:import_row", "rows.csv", "other", code=2)
    assert "'utterance_rows:import_row' cannot be imported: AttributeError" in refused.stderr


def test_an_own_model_and_term_train(shards: Path, program: Program) -> None:
    own = ("--model.name", "running-mean", "--model.options.width", "6", "--loss.terms.focal", "0.5")
    done = program("dclf", "train", "my.yaml", *own, "--log", "plain", "--output", "json")
    run = json.loads(done.stdout)
    assert 0 <= run["test"]["wf1"] <= 1
    assert "focal 0." in done.stderr
    # The model is made from its checkpoint by the same name.
    scored = json.loads(program("dclf", "evaluate", run["run_id"], "--output", "json").stdout)
    assert scored["scores"]["wf1"] == pytest.approx(run["test"]["wf1"])


def test_an_own_model_sampler_and_term_are_searched(shards: Path, project: Path, program: Program) -> None:
    space = {
        "model.options.width": {"low": 4, "high": 8, "int": True},
        "loss.terms.focal_term:focal": {"low": 0, "high": 1, "step": 0.25},
    }
    own = ("--model.name", "running-mean", "--model.options.width", "6", "--loss.terms.focal_term:focal", "0.5")
    words = ("--sampler", "even", "--name", "searched", "--sweep.space", json.dumps(space), "--output", "json")
    program("dclf", "sweep", "my.yaml", *own, *words)
    study = open_study("searched", storage=project / "studies")
    assert [trial.state for trial in study.folder.ledger.trials.values()] == ["complete", "complete"]
    assert study.folder.definition.sweep.sampler == "even"
    assert set(study.best_config.loss.terms) == {"focal_term:focal"}
    assert study.best_config.model.name == "running-mean"


def test_an_own_model_trains_in_a_job_by_either_name(
    shards: Path, project: Path, program: Program, shared_cluster: LocalCluster
) -> None:
    space = {"model.name": {"choices": ["running-mean", "beside:RunningMean"]}}
    words = ("sweep", "my.yaml", "--sampler", "grid", "--name", "job", "--sweep.space", json.dumps(space))
    own = ("--model.name", "running-mean", "--model.options.width", "6")
    program("dclf", "submit", "--folder", shared_cluster.folder, "--exclude", "sources,site", "--", *words, *own)
    trials = open_study("job", storage=project / "studies").folder.ledger.trials.values()
    assert {trial.params["model.name"]: trial.state for trial in trials} == {
        "running-mean": "complete",
        "beside:RunningMean": "complete",
    }
