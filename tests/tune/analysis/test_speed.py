"""What an utterance costs a model that hears a conversation."""

import pytest
import torch

from dclf import data
from dclf.config import Config, DataConfig, ModelConfig
from dclf.data import Dialogue
from dclf.inference import Predictor
from dclf.models.framework import DCLF
from tune.analysis.speed import time_of_utterances


@pytest.fixture(scope="module")
def dialogues() -> list[Dialogue]:
    return list(data.generate("iemocap-small", 6, 1)[1])


def predictor(*, causal: bool = True) -> Predictor:
    info = data.generate("iemocap-small", 6, 1)[0]
    config = Config(data=DataConfig(modalities=("text",)), model=ModelConfig(name="mmgcn", causal=causal))
    weights = DCLF(info, config.data.modalities, config.model, config.loss).state_dict()
    return Predictor(config, info, weights)


def text_alone(dialogues: list[Dialogue]) -> list[Dialogue]:
    return [dialogue.only(["text"]) for dialogue in dialogues]


def test_as_many_utterances_are_heard_as_are_asked_for(dialogues: list[Dialogue]) -> None:
    first = len(dialogues[0])
    heard, seconds = time_of_utterances(predictor(), text_alone(dialogues), first + 2)
    assert heard == first + 2
    assert seconds > 0
    everything = sum(len(dialogue) for dialogue in dialogues)
    assert time_of_utterances(predictor(), text_alone(dialogues), 10 * everything)[0] == everything


def test_a_bidirectional_model_hears_none(dialogues: list[Dialogue]) -> None:
    assert time_of_utterances(predictor(causal=False), text_alone(dialogues)) == (0, 0.0)


def test_the_number_of_threads_is_as_before(dialogues: list[Dialogue]) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        time_of_utterances(predictor(), text_alone(dialogues), 3)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
