"""The logged model, loaded as MLflow loads it: in this process and by its command line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch

from dclf.data.dialogue import Dialogue
from dclf.data.errors import DataError
from dclf.inference import load_model, save_model
from dclf.training.checkpoint import CheckpointError
from tests.dclf.extraction import hashing
from tests.tune.tracking.samples import CARD, CLASSES, CONFIG, WIDTHS, dialogues, epoch, final
from tune.tracking.model import pack_model, requirements
from tune.tracking.run import RunTracker
from tune.tracking.store import Store

COLUMNS = ["dialogue_id", "emotion", *(f"probability/{name}" for name in CLASSES)]

PREDICT = """
import sys
from mlflow.cli import cli
cli(standalone_mode=False)
print(*(sys.modules[name].__file__ for name in ("dclf", "own_served", "own_words")))
"""


@pytest.fixture(scope="module")
def packed(trained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("packed") / "model"
    pack_model(trained_model, target)
    # Before any test loads it, which compiles what it imports.
    assert not list(target.rglob("__pycache__"))
    return target


def table() -> pd.DataFrame:
    rows = [
        {"dialogue_id": d.dialogue_id, "speaker": int(d.speakers[i]), **{m: d.features[m][i].tolist() for m in WIDTHS}}
        for d in dialogues()
        for i in range(len(d))
    ]
    return pd.DataFrame(rows)


def dialogues_of(rows: pd.DataFrame) -> list[Dialogue]:
    """With the features of a table in place of their own."""
    ends = np.cumsum([len(one) for one in dialogues()])[:-1]
    columns = {m: np.split(np.array(rows[m].tolist(), np.float32), ends) for m in WIDTHS}
    return [replace(one, features={m: columns[m][i] for m in WIDTHS}) for i, one in enumerate(dialogues())]


def expected(trained_model: Path) -> Any:
    return np.concatenate(load_model(trained_model).predict(dialogues()))


def load(path: Path | str) -> Any:
    return mlflow.pyfunc.load_model(str(path))


def test_probabilities_are_those_of_the_predictor(packed: Path, trained_model: Path) -> None:
    answer = load(packed).predict(table())
    assert list(answer.columns) == COLUMNS
    assert answer["dialogue_id"].tolist() == table()["dialogue_id"].tolist()
    probabilities = answer[COLUMNS[2:]].to_numpy()
    assert np.allclose(probabilities, expected(trained_model), atol=1e-6)
    assert answer["emotion"].tolist() == [CLASSES[i] for i in probabilities.argmax(axis=1)]


def test_rows_keep_their_order_when_dialogues_are_interleaved(packed: Path, trained_model: Path) -> None:
    order = [3, 4, 0, 5, 1, 6, 2, 7]  # within each dialogue as spoken
    mixed = table().iloc[order]
    answer = load(packed).predict(mixed)
    assert answer.index.tolist() == order
    assert np.allclose(answer[COLUMNS[2:]].to_numpy(), expected(trained_model)[order], atol=1e-5)


def test_a_speaker_that_is_no_whole_number_is_named(packed: Path) -> None:
    model = load(packed).unwrap_python_model()
    rows = table().assign(speaker=0.0)
    assert len(model.predict(None, rows)) == len(rows), "whole floats count"
    rows.loc[1, "speaker"] = 0.5
    with pytest.raises(ValueError, match=r"dialogue .*: speakers must be whole numbers, is 0\.5 at utterance 1"):
        model.predict(None, rows)


@pytest.mark.parametrize("null", [None, float("nan"), pd.NA])
def test_rows_of_no_dialogue_are_refused(packed: Path, null: Any) -> None:
    rows = table()
    rows["dialogue_id"] = [null if place in (1, 4) else name for place, name in enumerate(rows["dialogue_id"])]
    with pytest.raises(DataError, match="dialogue_id must be a text in every row, is null in 2 rows: 1, 4"):
        load(packed).unwrap_python_model().predict(None, rows)


def test_the_example_and_the_signature_agree(packed: Path) -> None:
    model = load(packed)
    example = mlflow.models.Model.load(str(packed)).load_input_example(str(packed))
    answer = model.predict(example)
    assert len(answer) == 2
    assert model.metadata.signature.outputs.input_names() == COLUMNS
    with pytest.raises(mlflow.exceptions.MlflowException, match="audio"):
        model.predict(example.drop(columns="audio"))
    with pytest.raises(DataError, match="text features at utterance 0 must be 5 numbers as in training, are 1"):
        model.predict(example.assign(text=[[1.0]] * 2))


@pytest.mark.parametrize("absent", [None, float("nan")])
def test_absent_features_are_missing_rows(packed: Path, trained_model: Path, absent: Any) -> None:
    rows = table()
    rows["audio"] = [absent if place in (0, 5) else vector for place, vector in enumerate(rows["audio"])]
    masked = []
    for one, places in zip(dialogues(), ([0], [], [1]), strict=True):
        present, audio = np.ones(len(one), np.bool_), one.features["audio"].copy()
        present[places], audio[places] = False, 0
        masked.append(replace(one, features={**one.features, "audio": audio}, present={"audio": present}))
    reference = np.concatenate(load_model(trained_model).predict(masked))
    probabilities = load(packed).predict(rows)[COLUMNS[2:]].to_numpy()
    assert np.allclose(probabilities, reference, atol=1e-6)
    assert not np.allclose(probabilities[0], expected(trained_model)[0], atol=1e-4)


def test_whole_numbers_are_features_too(packed: Path) -> None:
    rows = table().assign(audio=[[1, 2, 3]] * 8)
    assert len(load(packed).predict(rows)) == 8


def test_a_dialogue_without_features_is_refused_beside_other_mistakes(packed: Path) -> None:
    rows = table()
    rows["text"] = [[0.0] * 5] * 3 + [None] * 5
    rows["audio"] = [[0.0] * 3] * 2 + ["loud"] + [None] * 5
    with pytest.raises(DataError) as error:
        load(packed).predict(rows)
    first, second, third = error.value.problems
    assert first == "dialogue 'd0': audio features at utterance 2 must be a list of 3 numbers"
    assert second.startswith("dialogue 'd1': must have feature vectors of text (5 numbers) or audio (3 numbers)")
    assert third.startswith("dialogue 'd2': must have feature vectors of text")


def test_requirements_are_pinned_without_local_versions(packed: Path) -> None:
    listed = (packed / "requirements.txt").read_text().split()
    assert listed == requirements()
    assert all("==" in line and "+" not in line for line in listed)
    assert any(line.startswith("torch==") for line in listed)


def test_nothing_but_code_and_weights_is_packed(packed: Path) -> None:
    assert (packed / "artifacts" / "trained" / "model.pt").is_file()
    assert b"geheim" not in (packed / "artifacts" / "trained" / "model.pt").read_bytes()


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="must hold a trained model"):
        pack_model(tmp_path, tmp_path / "out")


@pytest.mark.slow
def test_a_model_brings_its_own_code_and_that_of_an_own_base_model_and_extractor(
    trained_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    own = "from dclf.models.mmgcn import MMGCN\n\n\nclass Mine(MMGCN):\n    pass\n"
    (tmp_path / "elsewhere" / "own_served.py").write_text(own, encoding="utf-8")
    content = torch.load(trained_model / "model.pt", weights_only=True)
    content["config"]["model"]["name"] = "own_served:Mine"
    packed = tmp_path / "packed"
    with hashing.as_own_module(tmp_path / "elsewhere", "own_words") as module:
        content["info"]["provenance"] = {"extraction": module.facts(tmp_path / "encoder", text=5)}
        save_model(tmp_path / "own", {**content, "progress": {"best_model": content["model"]}})
        pack_model(tmp_path / "own", packed)
    monkeypatch.setenv("DCLF_ENCODER_TEXT", str((tmp_path / "encoder").rename(tmp_path / "moved")))
    request, reference = table(), table()
    request["words"] = ["hello" if place in (0, 5) else None for place in range(len(request))]
    request["text"] = [None if place in (0, 5) else vector for place, vector in enumerate(request["text"])]
    reference["text"] = [
        hashing.hashed(b"saltyhello", 5) if i in (0, 5) else vector for i, vector in enumerate(reference["text"])
    ]
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps({"dataframe_split": request.to_dict(orient="split", index=False)}))
    answer = tmp_path / "answer.json"
    options = ["--env-manager", "local", "-m", str(packed), "-i", str(rows), "-o", str(answer)]
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREDICT, "models", "predict", *options],
        check=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    predictions = json.loads(answer.read_text())["predictions"]
    assert [row["dialogue_id"] for row in predictions] == table()["dialogue_id"].tolist()
    probabilities = [[row[column] for column in COLUMNS[2:]] for row in predictions]
    model = load_model(trained_model)
    assert np.allclose(probabilities, np.concatenate(model.predict(dialogues_of(reference))), atol=1e-6)
    assert loaded.stdout.split() == [
        str(packed / "code" / "dclf" / "__init__.py"),
        str(packed / "code" / "own_served.py"),
        str(packed / "code" / "own_words.py"),
    ]


def test_the_logged_model_belongs_to_its_run(store: Store, tmp_path: Path, trained_model: Path) -> None:
    with RunTracker(store, tmp_path) as tracker:
        tracker.start(CONFIG, CARD)
        tracker.epoch(epoch(1))
        tracker.finish(final(), trained_model)
    (logged,) = store.client.search_logged_models([store.experiment_id])
    assert (logged.name, str(logged.status), logged.source_run_id) == ("dclf", "READY", tracker.run_id)
    assert {metric.key: metric.value for metric in logged.metrics}["test/wf1"] == 0.25
    (output,) = store.client.get_run(tracker.run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (logged.model_id, 3)
    assert len(store.client.get_metric_history(tracker.run_id, "test/wf1")) == 1
    assert len(load(logged.artifact_location).predict(table())) == len(table())
