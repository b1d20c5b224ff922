from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.config import Config, DataConfig, LossConfig, ModelConfig
from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.errors import DataError
from dclf.data.generator import generate
from dclf.data.presets import IEMOCAP_CLASSES
from dclf.inference import Predictor, load_model, predictor_of, save_model
from dclf.models import BASE_MODELS
from dclf.models.framework import DCLF
from dclf.testing.batches import INFO, SPEAKERS, SUBSETS, WIDTHS
from dclf.training import checkpoint
from dclf.training.checkpoint import CheckpointError
from tests.dclf.extraction import hashing
from tests.dclf.models.small import SMALL
from tune.config.settings import load_config, preset_names

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


def test_models_of_other_programs_and_versions_are_told(
    predictor: Predictor, data: tuple[DatasetInfo, list[Dialogue]], tmp_path: Path
) -> None:
    config, info, weights = CONFIG.to_dict(), data[0].to_dict(), predictor.model.state_dict()
    newer = {**config, "loss": {**config["loss"], "delta": 1.0}}
    options = {**config, "model": {**config["model"], "options": {"hidden": 8, "depth": 3}}}
    contents: list[Any] = [weights, [1, 2], torch.zeros(3), {"config": newer, "info": info, "model": weights}]
    contents += [{"config": options, "info": info, "model": weights}, {"config": config, "info": {}, "model": weights}]
    contents += [{"config": config, "info": info, "model": [1.0]}]
    for content in contents:
        torch.save(content, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"model\.pt: must hold a model as this version of dclf stores it"):
            load_model(tmp_path)
    for state in ({"epoch": 1}, {"config": newer, "info": info, "progress": {"best_model": weights}}):
        with pytest.raises(CheckpointError, match=r"^a checkpoint: must hold a model as this version"):
            predictor_of(state)


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_an_impossible_batch_is_refused(
    predictor: Predictor, data: tuple[DatasetInfo, list[Dialogue]], size: Any
) -> None:
    with pytest.raises(ValueError, match=f"batch_size must be a whole number of 1 or more, is {size}"):
        predictor.predict(data[1], batch_size=size)


def test_an_utterance_that_is_tried_again_is_heard_once(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = small("mmgcn")
    assert not predictor.model.base.streams
    good = {"text": np.ones(WIDTHS["text"])}
    session, other = predictor.session(), predictor.session()

    def fail(*_: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(predictor, "predict", fail)
        with pytest.raises(MemoryError):
            session.hear("Ann", good)
    for speaker in ("Ann", "Bob"):
        assert np.array_equal(session.hear(speaker, good), other.hear(speaker, good))


def test_labels_of_other_classes_are_not_read(predictor: Predictor, data: tuple[DatasetInfo, list[Dialogue]]) -> None:
    whole = data[1][0]
    for label in (-2, 99):
        other = replace(whole, labels=np.full(len(whole), label, np.int32))
        assert np.array_equal(predictor.predict([other])[0], predictor.predict([whole])[0])


def untrained(config: Config, info: DatasetInfo = INFO) -> Predictor:
    torch.manual_seed(4)
    model = DCLF(info, config.data.modalities, config.model, config.loss)
    return Predictor(config, info, model.state_dict())


def small(name: str, modalities: tuple[str, ...] = SUBSETS[-1], *, causal: bool = True) -> Predictor:
    return untrained(
        Config(
            data=DataConfig(shards="x", modalities=modalities),  # type: ignore[arg-type]
            model=ModelConfig(name=name, causal=causal, options=dict(SMALL[name])),
            loss=LossConfig(ica_width=4),
        )
    )


def conversation(length: int, seed: int, missing: float, info: DatasetInfo = INFO) -> Dialogue:
    draw = np.random.default_rng(seed)
    present = {m: draw.random(length) >= missing for m in info.widths}
    rows = {m: draw.standard_normal((length, width)).astype(np.float32) for m, width in info.widths.items()}
    return Dialogue(
        dialogue_id="d",
        split="test",
        speakers=draw.integers(info.speaker_count, size=length).astype(np.int32),
        labels=np.full(length, -1, np.int32),
        features={m: x * present[m][:, None] for m, x in rows.items()},
        present=present,
    )


def streamed(predictor: Predictor, dialogue: Dialogue) -> np.ndarray:
    session = predictor.session()
    return np.stack(
        [
            session.hear(
                int(speaker),
                {m: dialogue.features[m][i] if dialogue.present[m][i] else None for m in dialogue.features},
            )
            for i, speaker in enumerate(dialogue.speakers)
        ]
    )


def test_every_base_model_is_streamed_here() -> None:
    assert set(SMALL) == {*BASE_MODELS.shipped}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=25)
@given(
    modalities=st.sampled_from(SUBSETS),
    length=st.integers(1, 9),
    missing=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 999),
)
def test_a_session_says_what_the_whole_dialogue_says(
    name: str, modalities: tuple[str, ...], length: int, missing: float, seed: int
) -> None:
    predictor = small(name, modalities)
    dialogue = conversation(length, seed, missing)
    assert np.allclose(streamed(predictor, dialogue), predictor.predict([dialogue])[0], atol=1e-6, rtol=0)


def different_presets() -> list[str]:
    """One preset for each base model and its options."""
    models = {name: load_config(name, {"data.shards": "x"}).model for name in preset_names()}
    return list({str(model): name for name, model in models.items()}.values())


@pytest.mark.slow
@pytest.mark.parametrize("preset", different_presets())
def test_a_session_of_every_preset_gives_the_logits_of_the_whole_dialogue(preset: str) -> None:
    config = load_config(preset, {"data.shards": "x"})
    info = DatasetInfo(dataset="x", class_names=IEMOCAP_CLASSES, widths=WIDTHS, speaker_count=SPEAKERS)
    predictor = untrained(config, info)
    assert config.model.causal
    dialogue = conversation(50, 1, 0.2, info)  # longer than AGHMN's window of 40
    whole = predictor.predict([dialogue])[0]
    probabilities = streamed(predictor, dialogue)
    assert np.allclose(probabilities, whole, atol=1e-6, rtol=0)
    # Logits are the logarithms, up to a shift of all classes; a deep model adds up what single precision rounds.
    assert np.allclose(np.log(probabilities), np.log(whole), atol=5e-6, rtol=0)


def test_a_session_keeps_no_more_than_the_models_reach() -> None:
    session = small("aghmn").session()
    for _ in range(9):
        session.hear("Ann", {"text": np.ones(WIDTHS["text"])})
    assert len(session._heard) == SMALL["aghmn"]["window"] + 1


def test_a_bidirectional_model_has_no_session() -> None:
    with pytest.raises(ValueError, match=r"needs a causal model, .* depends on later ones; predict the whole"):
        small("mmgcn", causal=False).session()


def test_names_are_numbered_as_they_come_up_or_as_told() -> None:
    text = {"text": np.ones(WIDTHS["text"]), "audio": None}
    predictor = small("mmgcn")
    by_number = predictor.session()
    first, second = by_number.hear(0, text), by_number.hear(1, text)
    by_name = predictor.session()
    assert np.array_equal(by_name.hear("Ann", text), first)
    assert np.array_equal(by_name.hear("Bob", text), second)
    session = predictor.session(["Bob", "Ann"])
    assert not np.allclose(session.hear("Ann", text), first)
    with pytest.raises(ValueError, match=r"speakers must be 3 at most, .* are a, b, c, d"):
        predictor.session(["a", "b", "c", "d"])


def test_what_is_refused_is_as_if_it_had_not_come() -> None:
    good = {"text": np.ones(WIDTHS["text"])}
    predictor = small("ddin")
    session, other = predictor.session(), predictor.session()
    session.hear("Ann", good)
    other.hear("Ann", good)
    with pytest.raises(DataError, match="text features at utterance 0 must be 9 numbers as in training, are 2"):
        session.hear("Bob", {"text": [1.0, 2.0]})
    with pytest.raises(DataError, match="audio features at utterance 0 must be finite, is nan at 0"):
        session.hear("Bob", {"audio": [np.nan] * WIDTHS["audio"]})
    with pytest.raises(ValueError, match="features must be of text, audio, visual, are of smell"):
        session.hear("Bob", {"smell": [1.0]})
    with pytest.raises(ValueError, match="must be all names or all numbers, is 1 after names"):
        session.hear(1, good)
    assert np.array_equal(session.hear("Cem", good), other.hear("Cem", good))


def test_a_session_hears_words_and_recordings(tmp_path: Path) -> None:
    plain = small("ddin", ("text", "audio"))
    widths = {m: WIDTHS[m] for m in ("text", "audio")}
    facts = hashing.facts(tmp_path / "encoder", **widths)
    info = replace(plain.info, provenance={"extraction": facts})
    predictor = Predictor(plain.config, info, plain.model.state_dict())
    talk = tmp_path / "talk.wav"
    talk.write_bytes(b"noise")
    session, other = predictor.session(), plain.session()
    words, noise = hashing.hashed(b"saltyhello", widths["text"]), hashing.hashed(b"saltynoise1.0-None", widths["audio"])
    heard = session.hear("Ann", text="hello", media=str(talk), start=1)
    assert np.array_equal(heard, other.hear("Ann", {"text": words, "audio": noise}))
    heard = session.hear("Bob", {"audio": None}, text="hello", media=str(talk))
    assert np.array_equal(heard, other.hear("Bob", {"text": words}))
    assert np.array_equal(session.hear("Ann"), other.hear("Ann"))
    with pytest.raises(DataError, match="utterance 4: end must come with media"):
        session.hear("Ann", text="hello", end=1)
    with pytest.raises(
        DataError, match=r"utterance 4: must have feature vectors of text .* has none: words and record"
    ):
        other.hear("Ann", text="hello")
    good = {"text": words}
    assert np.array_equal(session.hear("Cem", good), other.hear("Cem", good, text="shown")), "the refused never came"


def test_the_provenance_of_the_data_stays_with_the_model(data: tuple[DatasetInfo, object], tmp_path: Path) -> None:
    info = replace(data[0], provenance={"extraction": hashing.facts(tmp_path / "encoder", text=WIDTHS["text"])})
    weights = DCLF(info, CONFIG.data.modalities, CONFIG.model, CONFIG.loss).state_dict()
    state = {"config": CONFIG.to_dict(), "info": info.to_dict(), "progress": {"best_model": weights}}
    save_model(tmp_path / "model", state)
    assert load_model(tmp_path / "model").info == info


def test_shards_need_other_classes_for_scores_alone(predictor: Predictor, data: tuple[DatasetInfo, object]) -> None:
    other = replace(data[0], class_names=("up", "down"))
    predictor.check(other, labels=False)
    with pytest.raises(DataError, match="classes must be"):
        predictor.check(other)
    with pytest.raises(DataError, match=r"the model knows 2 speakers, the shards have 9"):
        predictor.check(replace(other, speaker_count=9), labels=False)


@pytest.mark.parametrize(("name", "lacking"), [("ddin", "base.linear"), ("dialogue_rnn", "base.linear")])
def test_weights_of_an_earlier_version_are_refused_with_what_differs(name: str, lacking: str) -> None:
    predictor = small(name)
    weights = {k: v for k, v in predictor.model.state_dict().items() if not k.startswith(lacking)}
    with pytest.raises(CheckpointError, match=rf"differs in {lacking}.bias, {lacking}.weight: an earlier version"):
        Predictor(predictor.config, predictor.info, weights)
