from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dclf.config import Config, DataConfig, LossConfig, ModelConfig
from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.errors import DataError
from dclf.data.generator import generate
from dclf.inference import Predictor, load_model, save_model
from dclf.models.framework import DCLF
from dclf.training import checkpoint
from dclf.training.checkpoint import CheckpointError

CONFIG = Config(
    data=DataConfig(shards="x", modalities=("text", "audio")),
    model=ModelConfig(name="mmgcn", options={"hidden": 8, "node_width": 12}),
    loss=LossConfig(ica_width=4),
)


@pytest.fixture(scope="module")
def data() -> tuple[DatasetInfo, list[Dialogue]]:
    info, dialogues = generate("iemocap-small", dialogues=8, seed=1)
    return info, list(dialogues)


@pytest.fixture
def predictor(data: tuple[DatasetInfo, list[Dialogue]]) -> Predictor:
    torch.manual_seed(0)
    model = DCLF(data[0], CONFIG.data.modalities, CONFIG.model, CONFIG.loss)
    return Predictor(CONFIG, data[0], model.state_dict())


def test_probabilities_per_utterance(predictor: Predictor, data: tuple[DatasetInfo, list[Dialogue]]) -> None:
    results = predictor.predict(data[1], batch_size=3)
    assert [r.shape for r in results] == [(len(d), len(data[0].class_names)) for d in data[1]]
    assert np.allclose(np.concatenate(results).sum(axis=1), 1, atol=1e-5)
    alone = predictor.predict(data[1][4:5])[0]
    assert np.allclose(alone, results[4], atol=1e-5)


def test_a_real_time_model_needs_no_future(predictor: Predictor, data: tuple[DatasetInfo, list[Dialogue]]) -> None:
    whole = data[1][0]
    half = len(whole) // 2
    start = replace(
        whole,
        speakers=whole.speakers[:half],
        labels=whole.labels[:half],
        utterances=whole.utterances[:half],
        features={m: x[:half] for m, x in whole.features.items()},
    )
    assert np.allclose(predictor.predict([start])[0], predictor.predict([whole])[0][:half], atol=1e-5)


def test_wrong_input_names_the_dialogue(predictor: Predictor, data: tuple[DatasetInfo, list[Dialogue]]) -> None:
    broken = replace(data[1][2], features={"text": data[1][2].features["text"]})
    with pytest.raises(DataError, match=f"{broken.dialogue_id}.*audio"):
        predictor.predict([broken])


def test_labels_and_what_stands_in_missing_rows_are_not_read(
    predictor: Predictor, data: tuple[DatasetInfo, list[Dialogue]]
) -> None:
    whole = data[1][0]
    bare = replace(whole, labels=np.full(len(whole), -1, np.int32))
    assert np.array_equal(predictor.predict([bare])[0], predictor.predict([whole])[0])
    mask = np.arange(len(whole)) % 2 == 0
    silent = {**whole.features, "audio": np.where(mask[:, None], whole.features["audio"], 0).astype(np.float32)}
    # Of a modality that the model does not read nothing is asked.
    partial = replace(bare, features=silent, present={"audio": mask, "visual": mask[:-1]})
    assert not np.allclose(predictor.predict([partial])[0], predictor.predict([whole])[0])
    zeroed = replace(bare, features=silent)
    assert not np.allclose(predictor.predict([partial])[0], predictor.predict([zeroed])[0])


def test_a_saved_model_predicts_the_same(
    predictor: Predictor, data: tuple[DatasetInfo, list[Dialogue]], tmp_path: Path
) -> None:
    state = {
        "config": CONFIG.to_dict(),
        "info": data[0].to_dict(),
        "progress": {"best_model": predictor.model.state_dict()},
    }
    save_model(tmp_path, state)
    again = load_model(tmp_path)
    assert again.config == CONFIG
    assert np.array_equal(again.predict(data[1])[0], predictor.predict(data[1])[0])


def test_absent_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.pt.*absent"):
        load_model(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match=r"state\.pt.*absent"):
        checkpoint.load(tmp_path)
    checkpoint.save(tmp_path, {"epoch": 1})
    damaged = bytearray((tmp_path / "state.pt").read_bytes())
    (tmp_path / "state.pt").write_bytes(damaged[: len(damaged) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(tmp_path)
