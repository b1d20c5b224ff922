"""AGHMN against its equations, one utterance after the other."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from dclf.config import Config, DataConfig, ModelConfig
from dclf.models.aghmn import AGHMN, AGHMNConfig
from tests.dclf.models.recurrent_reference import (
    SPEAKERS,
    WIDTH,
    Conversation,
    GRUWeights,
    check_dropout,
    conversations,
    gradients,
)

D = 5
EXAMPLE = Conversation(speakers=((0,) * 5, (0,), (1,) * 8, (0, 2, 0)), seed=4)


def aghmn(modalities: tuple[str, ...], window: int = 3) -> AGHMN:
    torch.manual_seed(12)
    config = AGHMNConfig(encoder_width=WIDTH, width=D, window=window)
    return AGHMN(modalities, SPEAKERS, True, config).double().eval()


def summary(model: AGHMN, query: Tensor, past: list[Tensor]) -> Tensor:
    """c of an utterance with this past, the oldest first."""
    fusion, memory = GRUWeights.of(model.fusion), model.memory
    state, memories = torch.zeros(D, dtype=torch.float64), []
    for u in past:
        state = fusion.step(u, state)
        memories.append(u + state)
    attention = torch.softmax(torch.stack([query @ m for m in memories]), 0)
    (w_r, w), (b_r, b) = memory.input.weight.chunk(2), memory.input.bias.chunk(2)
    summed = torch.zeros(D, dtype=torch.float64)
    for a, m in zip(attention, memories, strict=True):
        r = torch.sigmoid(w_r @ m + memory.reset.weight @ summed + b_r)
        candidate = torch.tanh(w @ m + b + r * (memory.candidate.weight @ summed + memory.candidate.bias))
        summed = a * candidate + (1 - a) * summed
    return summed


def reference(model: AGHMN, batch: Conversation) -> tuple[Tensor, Tensor]:
    """Hidden states and contexts of the batch, dialogue after dialogue."""
    hidden, contexts = [], []
    for dialogue in batch.utterances():
        read = [torch.tanh(model.reader.weight @ u + model.reader.bias) for u in dialogue]
        for i, u in enumerate(read):
            past = read[max(0, i - model.window) : i]
            contexts.append(summary(model, u, past) if past else torch.zeros(D, dtype=torch.float64))
            hidden.append(u + contexts[-1])
    return torch.stack(hidden), torch.stack(contexts)


@settings(max_examples=50)
@given(batch=conversations(), window=st.integers(1, 8))
def test_it_computes_the_equations(batch: Conversation, window: int) -> None:
    model = aghmn(batch.modalities, window)
    output = batch.run(model)
    hidden, context = reference(model, batch)
    assert_close(output.hidden, hidden, atol=1e-10, rtol=0)
    assert_close(output.state, hidden, atol=1e-10, rtol=0)
    assert_close(output.context, context, atol=1e-10, rtol=0)


def test_its_gradients_are_those_of_the_equations() -> None:
    model = aghmn(EXAMPLE.modalities)
    output = EXAMPLE.run(model)
    ours = gradients(model, (output.hidden, output.context))
    theirs = gradients(model, reference(model, EXAMPLE))
    for name in ours:
        assert theirs[name].any()
        assert_close(ours[name], theirs[name], atol=1e-10, rtol=0)


@given(window=st.integers(1, 6), changed=st.integers(0, 7))
def test_nothing_before_the_window_is_heard(window: int, changed: int) -> None:
    batch, model = Conversation(((0,) * 8,), ("text",)), aghmn(("text",), window)
    text = batch.encoded()["text"]
    text[changed] *= -2
    same = (batch.run(model).hidden == batch.run(model, {"text": text}).hidden).all(1)
    assert same.tolist() == [not changed <= i <= changed + window for i in range(8)]


def test_it_does_not_ask_who_speaks() -> None:
    model = aghmn(EXAMPLE.modalities)
    others = tuple(tuple((s + 1) % SPEAKERS for s in dialogue) for dialogue in EXAMPLE.speakers)
    assert torch.equal(EXAMPLE.run(model).hidden, Conversation(others, EXAMPLE.modalities, 4).run(model).hidden)


def test_first_utterances_alone_leave_every_parameter_a_gradient() -> None:
    """Workers add up gradients: a share of the batch without any history must have them too."""
    model, batch = aghmn(("text",)), Conversation(((0,), (1,), (2,)), ("text",))
    output = batch.run(model)
    assert not output.context.any()
    grads = gradients(model, (output.hidden, output.context))
    assert grads["reader.weight"].any()
    assert not any(grad.any() for name, grad in grads.items() if not name.startswith("reader"))


def test_dropout_is_part_of_training_alone() -> None:
    check_dropout(aghmn(EXAMPLE.modalities), EXAMPLE)


def test_a_bidirectional_form_is_refused() -> None:
    with pytest.raises(ValueError, match="causal must be true for AGHMN, which reads forwards only, is false"):
        AGHMN(("text",), SPEAKERS, False, AGHMNConfig())
    config = Config(data=DataConfig(shards="x"), model=ModelConfig(name="aghmn", causal=False, options={"window": 0}))
    assert config.problems() == [
        "model.causal: must be true for aghmn, which reads forwards only, is false",
        "model.options: window must be a whole number of 1 or more, is 0",
    ]
