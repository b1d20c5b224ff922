"""A project in a folder whose name means something else in a URI, and the same project after it was copied."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from dclf.uris import sqlite_uri
from tests.dclf.test_uris import NASTY
from tests.tune.commands.test_end_to_end import SMALL, dclf
from tune.commands.main import main
from tune.tracking.find import find_run
from tune.tracking.run_model import load_run_model
from tune.tracking.store import connect

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Project:
    folder: Path
    run_id: str
    scores: dict[str, float]

    @property
    def uri(self) -> str:
        return sqlite_uri(self.folder / "dclf-runs" / "mlflow.db")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One trained run; its shards and checkpoints are named from the root on, as a script would."""
    folder = tmp_path_factory.mktemp("projects") / NASTY
    folder.mkdir()
    made = dclf(folder, "data", "generate", "shards", "--preset", "iemocap-small", "--dialogues", "24")
    assert made.returncode == 0, made.stderr
    places = ["--data.shards", str(folder / "shards"), "--train.storage", str(folder / "dclf-runs" / "checkpoints")]
    small = [word for key, value in {**SMALL, "train.epochs": "1"}.items() for word in (f"--{key}", value)]
    trained = dclf(folder, "train", "iemocap", *places, *small, "--log", "plain", "--output", "json")
    assert trained.returncode == 0, trained.stderr
    result = json.loads(trained.stdout.splitlines()[-1])
    return Project(folder, result["run_id"], result["test"])


def test_every_file_lands_in_the_folder_and_is_found_again(project: Project) -> None:
    assert [path.name for path in project.folder.parent.iterdir()] == [NASTY]
    assert sorted(path.name for path in project.folder.iterdir()) == ["dclf-runs", "shards"]
    evaluated = dclf(project.folder, "evaluate", project.run_id, "--output", "json")
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["scores"] == pytest.approx(project.scores)
    checked = dclf(project.folder, "doctor")
    assert (checked.returncode, checked.stdout) == (0, "no studies in dclf-runs/studies\n"), checked.stderr
    _, predictor = load_run_model(project.uri, project.run_id)
    assert len(predictor.info.class_names) == 6
    model = project.folder / "dclf-runs" / "artifacts" / "dclf" / "models"
    assert len(list(model.glob("m-*/artifacts/MLmodel"))) == 1


def test_a_copy_works_after_doctor_fix_and_leaves_the_original_alone(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project.folder, copy)
    before = contents(project.folder)
    monkeypatch.chdir(copy)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for words in (["evaluate", project.run_id], ["perturb", project.run_id], ["train", "--resume", project.run_id]):
        assert main(words) == 1
        said = capsys.readouterr().err
        assert f"was moved or copied from {project.folder / 'dclf-runs'}" in said
        assert said.endswith("mend it with: dclf doctor --fix\n")
    assert main(["doctor"]) == 1
    assert "mend it with: dclf doctor --fix" in capsys.readouterr().out
    assert main(["doctor", "--fix"]) == 0
    uri = sqlite_uri(copy / "dclf-runs" / "mlflow.db")
    record = find_run(uri, project.run_id)
    assert record.checkpoint == str(copy / "dclf-runs" / "checkpoints" / project.run_id)
    assert record.config["data"]["shards"] == str(copy / "shards")
    store = connect(uri, "dclf")
    store.client.log_text(store.client.create_run(store.experiment_id).info.run_id, "new", "note.txt")
    assert len(list((copy / "dclf-runs" / "artifacts").glob("dclf/*/artifacts/note.txt"))) == 1
    assert contents(project.folder) == before
    # Now it is a project that was moved, in a process that has seen no other.
    project.folder.rename(project.folder.with_name("away"))
    evaluated = dclf(copy, "evaluate", project.run_id, "--output", "json")
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["scores"] == pytest.approx(project.scores)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}
