"""A project in a folder whose name means something else in a URI, after it was copied."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dclf.uris import sqlite_uri
from tests.tune.commands.project import Project
from tune.commands.main import main
from tune.tracking.find import find_run
from tune.tracking.run_model import load_run_model
from tune.tracking.store import connect, open_client

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(600)]


def test_a_copy_works_after_doctor_fix_and_leaves_the_original_alone(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id, copy = project.run_id, tmp_path / "copy"
    shutil.copytree(project.folder, copy)
    before = contents(project.folder)
    monkeypatch.chdir(copy)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for words in (["evaluate", run_id], ["perturb", run_id], ["train", "--resume", run_id]):
        assert main(words) == 1
        said = capsys.readouterr().err
        assert f"was moved or copied from {project.folder / 'dclf-runs'}" in said
        assert said.endswith("mend it with: dclf doctor --fix\n")
    assert main(["doctor"]) == 1
    assert "mend it with: dclf doctor --fix" in capsys.readouterr().out
    assert main(["doctor", "--fix"]) == 0
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
    assert json.loads(evaluated.stdout)["scores"]["wf1"] == pytest.approx(metrics["test/wf1"])


def test_the_model_of_a_run_is_found(project: Project) -> None:
    _, predictor = load_run_model(project.uri, project.run_id)
    assert len(predictor.info.class_names) == 6


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
