"""The logged model of a run whose shards dclf extracted: words and recordings in place of vectors, over HTTP too."""

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import uvicorn

from dclf.data.errors import DataError
from dclf.extraction import ExtractionError
from dclf.inference import load_model, save_model
from tests.dclf.extraction import hashing
from tests.tune.tracking.samples import CLASSES, INFO, WIDTHS
from tune.tracking.model import pack_model

SCORES = [f"probability/{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hashing.encoder(tmp_path_factory.mktemp("encoders") / "salty")


@pytest.fixture(scope="module")
def packed(trained_model: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model, whose extractors are a module of the user's own."""
    folder = tmp_path_factory.mktemp("words")
    with hashing.as_own_module(folder) as own:
        save_with(trained_model, folder / "own", {"extraction": own.facts(encoder, **WIDTHS)})
        pack_model(folder / "own", folder / "packed")
        yield folder / "packed"


def save_with(trained_model: Path, folder: Path, provenance: dict[str, Any]) -> None:
    """The trained model, of data that came about in another way."""
    content = torch.load(trained_model / "model.pt", weights_only=True)
    info = replace(INFO, provenance=provenance).to_dict()
    save_model(folder, {"config": content["config"], "info": info, "progress": {"best_model": content["model"]}})


def load(path: Path) -> Any:
    return mlflow.pyfunc.load_model(str(path))


def answers(trained_model: Path, *features: dict[str, Any]) -> np.ndarray:
    session = load_model(trained_model).session()
    return np.stack([session.hear(i % 2, own) for i, own in enumerate(features)])


def words(text: str) -> np.ndarray:
    return hashing.hashed(f"salty{text}".encode(), WIDTHS["text"])


def records(*turns: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"dialogue_id": "call", "speaker": i % 2, **turn} for i, turn in enumerate(turns)]


def test_words_in_place_of_vectors(packed: Path, trained_model: Path) -> None:
    own = [0.5] * WIDTHS["text"]
    rows = records({"words": "hello"}, {"words": "shown", "text": own}, {"words": None}, {"words": float("nan")})
    probabilities = load(packed).predict(pd.DataFrame(rows))[SCORES].to_numpy()
    reference = answers(trained_model, {"text": words("hello")}, {"text": own}, {}, {})
    assert np.allclose(probabilities, reference, atol=1e-6)


def test_they_are_read_over_http(packed: Path, trained_model: Path) -> None:
    audio = [0.25] * WIDTHS["audio"]
    rows = records({"words": "hello"}, {"text": None, "audio": audio, "words": "bye"}, {"audio": audio})
    reference = answers(
        trained_model, {"text": words("hello")}, {"text": words("bye"), "audio": audio}, {"audio": audio}
    )
    with served(load(packed)) as address:
        answer = ask(address, rows)
    assert np.allclose([[row[name] for name in SCORES] for row in answer], reference, atol=1e-6)


def test_the_signature_the_example_and_the_requirements_say_so(packed: Path, trained_model: Path) -> None:
    card = mlflow.models.Model.load(str(packed))
    columns = {column.name: column.required for column in card.signature.inputs.inputs}
    optional = dict.fromkeys(("text", "audio", "words", "media", "start", "end"), False)
    assert columns == {"dialogue_id": True, "speaker": True, **optional}
    example = card.load_input_example(str(packed))
    assert example["words"].tolist() == ["How can I help you?", "My parcel has not come."]
    assert len(load(packed).predict(example)) == 2
    listed = (packed / "requirements.txt").read_text().split()
    assert [line for line in listed if line.startswith("numpy")] == [f"numpy=={np.__version__}"]
    assert "no-such-package-here" in listed
    assert (packed / "code" / "own_hashes.py").is_file()


def test_recordings_are_read_from_the_one_folder_alone(
    packed: Path, trained_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    for place in (folder / "talk.wav", tmp_path / "secret.wav"):
        place.write_bytes(b"noise")
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    model = load(packed)
    rows = pd.DataFrame(records({"media": "talk.wav", "start": 1.0}, {"media": "talk.wav", "end": 2}))
    with pytest.raises(DataError, match=r"'call' utterance 0: media must be left out: .* DCLF_MEDIA_DIR does not name"):
        model.predict(rows)
    monkeypatch.setenv("DCLF_MEDIA_DIR", str(folder))
    parts = (hashing.hashed(b"saltynoise" + bounds, WIDTHS["audio"]) for bounds in (b"1.0-None", b"None-2.0"))
    reference = answers(trained_model, *({"audio": part} for part in parts))
    assert np.allclose(model.predict(rows)[SCORES].to_numpy(), reference, atol=1e-6)
    outside = ("../secret.wav", str(tmp_path / "secret.wav"), str(folder / "talk.wav"), "link.wav", "../media/../x")
    with pytest.raises(DataError) as error:
        model.predict(pd.DataFrame(records(*({"media": place} for place in outside))))
    assert error.value.problems == tuple(
        f"dialogue 'call' utterance {i}: media must be a path within the server's folder of recordings, which it leaves"
        for i in range(len(outside))
    )


def test_what_is_no_words_and_no_recording_is_named(packed: Path) -> None:
    wrong = records({"words": 3}, {"words": "hello", "start": 1.0}, {"words": "hello", "media": ""})
    with pytest.raises(DataError) as error:
        load(packed).predict(pd.DataFrame(wrong))
    assert [problem.split(" must ")[0].split("utterance ")[1] for problem in error.value.problems] == [
        "0: words",
        "1: start",
        "2: media",
    ]
    with pytest.raises(
        DataError, match="dialogue 'call': must have words for text or a recording for audio, or feature"
    ):
        load(packed).predict(pd.DataFrame(records({"words": ""})))


def test_the_environment_says_where_an_encoder_lies(
    packed: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.DataFrame(records({"words": "hello"}))
    predictions = load(packed).predict(rows)
    moved = encoder.rename(tmp_path / "moved")
    try:
        with pytest.raises(ExtractionError, match="DCLF_ENCODER_TEXT behind MLflow"):
            load(packed).predict(rows)
        monkeypatch.setenv("DCLF_ENCODER_TEXT", str(moved))
        assert load(packed).predict(rows).equals(predictions)
    finally:
        moved.rename(encoder)
    monkeypatch.setenv("DCLF_ENCODER_TEXT", str(hashing.encoder(tmp_path / "other", "sweet")))
    with pytest.raises(ExtractionError, match="must be the one that made the shards' rows"):
        load(packed)


def test_an_extractor_that_is_not_here_leaves_vectors(
    trained_model: Path, tmp_path: Path, log_messages: list[str]
) -> None:
    save_with(trained_model, tmp_path / "own", {"extraction": {"text": {"extractor": "nowhere:Settings"}}})
    pack_model(tmp_path / "own", tmp_path / "packed")
    (message,) = log_messages
    assert message.startswith(
        "the model in MLflow takes feature vectors alone, no words or recordings: extractor: 'nowhere"
    )
    assert all(column.required for column in mlflow.models.Model.load(str(tmp_path / "packed")).signature.inputs.inputs)


class served:  # noqa: N801 - reads as a verb
    """The address of MLflow's server of a model, in a thread of its own."""

    def __init__(self, model: Any) -> None:
        from mlflow.pyfunc import scoring_server  # noqa: PLC0415 - MLflow warns of its own type hints at the first import

        self._server = uvicorn.Server(uvicorn.Config(scoring_server.init(model), log_level="error"))
        self._socket = socket.create_server(("127.0.0.1", 0))  # a request waits in it until the server is up
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/invocations"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def ask(address: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = json.dumps({"dataframe_records": rows}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        predictions: list[dict[str, Any]] = json.loads(response.read())["predictions"]
    return predictions
