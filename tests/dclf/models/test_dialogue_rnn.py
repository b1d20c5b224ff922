"""DialogueRNN against its paper's equations, one utterance after the other."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from dclf.config import Config, DataConfig, ModelConfig
from dclf.models.dialogue_rnn import DialogueRNN, DialogueRNNCell, DialogueRNNConfig
from tests.dclf.models.recurrent_reference import (
    SPEAKERS,
    WIDTH,
    Conversation,
    GRUWeights,
    check_dropout,
    conversations,
    gradients,
)

EXAMPLE = Conversation(speakers=((0, 1, 1, 2, 0), (2,), (1, 0, 1, 0, 0, 1, 2), (0, 2, 0)), seed=4)


def dialogue_rnn(modalities: tuple[str, ...], *, causal: bool = True, listener: bool = False) -> DialogueRNN:
    torch.manual_seed(11)
    config = DialogueRNNConfig(encoder_width=WIDTH, history_width=5, party_width=6, emotion_width=3, listener=listener)
    return DialogueRNN(modalities, SPEAKERS, causal, config).double().eval()


def of_one_dialogue(
    cell: DialogueRNNCell, utterances: list[Tensor], speakers: tuple[int, ...], listener: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Emotion states and contexts of one dialogue."""
    history, party, emotion = (GRUWeights.of(gru) for gru in (cell.history, cell.party, cell.emotion))
    parties = [torch.zeros(6, dtype=torch.float64)] * SPEAKERS
    globals_: list[Tensor] = []
    emotions, contexts = [], []
    for u, speaker in zip(utterances, speakers, strict=True):
        context = torch.zeros(5, dtype=torch.float64)
        if globals_:
            alpha = torch.softmax(torch.stack([(cell.query.weight @ u) @ g for g in globals_]), 0)
            context = sum(a * g for a, g in zip(alpha, globals_, strict=True))
        before = globals_[-1] if globals_ else torch.zeros(5, dtype=torch.float64)
        globals_.append(history.step(torch.cat((u, parties[speaker])), before))
        heard = torch.cat((u, context))
        for i in range(SPEAKERS):
            if i == speaker:
                parties[i] = party.step(heard, parties[i])
            elif listener:
                parties[i] = GRUWeights.of(cell.listener).step(heard, parties[i])
        felt = emotions[-1] if emotions else torch.zeros(3, dtype=torch.float64)
        emotions.append(emotion.step(parties[speaker], felt))
        contexts.append(context)
    return emotions, contexts


def reference(model: DialogueRNN, batch: Conversation, *, listener: bool) -> tuple[Tensor, Tensor]:
    """Emotion states and contexts of the batch, dialogue after dialogue."""
    hidden, contexts = [], []
    for utterances, speakers in zip(batch.utterances(), batch.speakers, strict=True):
        emotions, context = of_one_dialogue(model.cells[0], utterances, speakers, listener)
        if len(model.cells) == 2:
            later, _ = of_one_dialogue(model.cells[1], utterances[::-1], speakers[::-1], listener)
            emotions = [torch.cat(pair) for pair in zip(emotions, later[::-1], strict=True)]
        hidden += emotions
        contexts += context
    return torch.stack(hidden), torch.stack(contexts)


@settings(max_examples=50)
@given(batch=conversations(), causal=st.booleans(), listener=st.booleans())
def test_it_computes_the_equations(batch: Conversation, causal: bool, listener: bool) -> None:
    model = dialogue_rnn(batch.modalities, causal=causal, listener=listener)
    output = batch.run(model)
    state, context = reference(model, batch, listener=listener)
    assert_close(output.state, state, atol=1e-10, rtol=0)
    assert_close(output.hidden, state @ model.linear.weight.T + model.linear.bias, atol=1e-10, rtol=0)
    assert_close(output.context, context, atol=1e-10, rtol=0)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("listener", [True, False])
def test_its_gradients_are_those_of_the_equations(causal: bool, listener: bool) -> None:
    model = dialogue_rnn(EXAMPLE.modalities, causal=causal, listener=listener)
    output = EXAMPLE.run(model)
    ours = gradients(model, (output.hidden, output.context))
    state, context = reference(model, EXAMPLE, listener=listener)
    theirs = gradients(model, (model.linear(state), context))
    for name in ours:
        assert theirs[name].any()
        assert_close(ours[name], theirs[name], atol=1e-10, rtol=0)


@settings(max_examples=50)
@given(batch=conversations(), names=st.permutations(range(SPEAKERS)), listener=st.booleans())
def test_names_of_speakers_do_not_matter(batch: Conversation, names: list[int], listener: bool) -> None:
    model = dialogue_rnn(batch.modalities, listener=listener)
    renamed = tuple(tuple(names[speaker] for speaker in dialogue) for dialogue in batch.speakers)
    other = Conversation(renamed, batch.modalities, batch.seed)
    assert_close(other.run(model).hidden, batch.run(model).hidden, atol=1e-12, rtol=0)


def test_who_speaks_matters() -> None:
    model = dialogue_rnn(("text",))
    pair, monologue = Conversation(((0, 1, 0),), ("text",)), Conversation(((0, 0, 0),), ("text",))
    difference = (pair.run(model).hidden - monologue.run(model).hidden).abs().amax(1)
    assert difference[0] == 0
    assert difference[1] > 1e-6


def test_a_listener_is_updated_on_request() -> None:
    quiet, listener = dialogue_rnn(("text",)), dialogue_rnn(("text",), listener=True)
    listener.load_state_dict(quiet.state_dict(), strict=False)
    batch = Conversation(((0, 1),), ("text",))
    difference = (batch.run(quiet).hidden - batch.run(listener).hidden).abs().amax(1)
    assert difference[0] == 0
    assert difference[1] > 1e-6


def test_dropout_is_part_of_training_alone() -> None:
    check_dropout(dialogue_rnn(EXAMPLE.modalities, listener=True), EXAMPLE)


def test_a_wrong_option_is_told() -> None:
    with pytest.raises(ValueError, match="listener must be true or false, is 2"):
        DialogueRNNConfig(listener=2)  # type: ignore[arg-type]
    options = {"listeners": True}
    problems = Config(data=DataConfig(shards="x"), model=ModelConfig(name="dialogue_rnn", options=options)).problems()
    expected = (
        "model.options.listeners: dialogue_rnn has no such option; "
        "it has decoder_width, dropout, emotion_width, encoder_width, history_width, listener, party_width"
    )
    assert problems == [expected]
