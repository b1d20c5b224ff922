"""DAG-ERC reproduces MultiDAG's recorded outputs, and with any window what its equations say, gradients included."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.dag_erc import DAGERC, DAGERCConfig
from dclf.models.dag_layer import DAGLayer
from dclf.models.predecessors import Predecessors, first_predecessors
from tests.dclf.models.golden import Golden, encoders, load, logits_of
from tests.dclf.models.recurrent_reference import SPEAKERS, WIDTH, Conversation, GRUWeights, conversations, gradients

NAMES = {"text": "encoder_text", "audio": "encoder_audio", "visual": "encoder_visual"}


def recorded(golden: Golden) -> DAGERC:
    config = DAGERCConfig(encoder_width=16, hidden=24, layers=3)
    model = DAGERC(("text", "audio", "visual"), 2, True, config).double().eval()
    for ours, theirs in ((model.entry, "fc1"), (model.first, "out_mlp.0"), (model.second, "out_mlp.2")):
        load(ours, golden, theirs)
    for number, layer in enumerate(model.layers):
        assert isinstance(layer, DAGLayer)
        load(layer.same, golden, f"gather.{number}.Wr0")
        load(layer.other, golden, f"gather.{number}.Wr1")
        load(layer.nodal, golden, f"grus_c.{number}")
        load(layer.contextual, golden, f"grus_p.{number}")
        layer.key.weight.data = golden.weight(f"gather.{number}.linear.weight")[:, 24:]
    return model


def test_hidden_and_logits() -> None:
    golden = Golden("multidag")
    model, encode = recorded(golden), encoders(golden, NAMES, 16)
    output = model(encode(golden.features), golden.rows("speakers"), golden.layout)
    logits = logits_of(golden, model, "out_mlp.5", output.hidden)
    for name, rows in (
        ("layer_3", output.state),
        ("message_3", output.context),
        ("hidden", output.hidden),
        ("logits", logits),
        ("log_prob", logits.log_softmax(-1)),
    ):
        assert_close(rows, golden.rows(f"expected/{name}"), atol=1e-6, rtol=0)
    assert_close(cross_entropy(logits, golden.rows("labels"))[None], golden["expected/loss"], atol=1e-6, rtol=0)


def test_each_layer() -> None:
    golden = Golden("multidag")
    model, below = recorded(golden), golden.rows("expected/layer_0")
    predecessors = Predecessors.of(golden.rows("speakers"), golden.layout, 1, below)
    steps = predecessors.steps
    for number, layer in enumerate(model.layers, start=1):
        for name, walked in zip(("layer", "message"), layer(steps.arrange(below), predecessors), strict=True):
            assert_close(steps.restore(walked), golden.rows(f"expected/{name}_{number}"), atol=1e-6, rtol=0)
        below = golden.rows(f"expected/layer_{number}")


@pytest.mark.parametrize(("window", "name"), [(1, "adjacency"), (2, "adjacency_window_2"), (3, "adjacency_window_3")])
def test_recorded_predecessors(window: int, name: str) -> None:
    golden = Golden("multidag")
    layout = golden.layout
    first = first_predecessors(golden.rows("speakers"), layout, window)
    places = torch.arange(golden[f"expected/{name}"].shape[-1])
    heard = (places >= first[:, None]) & (places < layout.time[:, None])
    assert torch.equal(heard.double(), golden.rows(f"expected/{name}"))


def earliest(speakers: Sequence[int], i: int, window: int) -> int:
    """The definition: walk back until the window-th own utterance."""
    for j in range(i - 1, -1, -1):
        window -= speakers[j] == speakers[i]
        if window == 0:
            return j
    return 0


@given(conversations(12), st.integers(1, 5))
def test_predecessors_reach_back_to_the_speakers_own_last_utterances(batch: Conversation, window: int) -> None:
    first = first_predecessors(batch.flat_speakers, batch.layout, window)
    assert first.tolist() == [
        earliest(speakers, i, window) for speakers in batch.speakers for i in range(len(speakers))
    ]


def model_of(modalities: tuple[str, ...], window: int) -> DAGERC:
    torch.manual_seed(1)
    config = DAGERCConfig(encoder_width=WIDTH, hidden=5, layers=2, window=window)
    return DAGERC(modalities, SPEAKERS, True, config).double().eval()


def reference(model: DAGERC, batch: Conversation) -> tuple[Tensor, Tensor, Tensor]:
    """hidden, state and context, an utterance at a time."""
    rows = [
        row
        for speakers, utterances in zip(batch.speakers, batch.utterances(), strict=True)
        for row in one_dialogue(model, speakers, utterances)
    ]
    hidden, state, context = (torch.stack(part) for part in zip(*rows, strict=True))
    return hidden, state, context


def one_dialogue(
    model: DAGERC, speakers: Sequence[int], utterances: Sequence[Tensor]
) -> list[tuple[Tensor, Tensor, Tensor]]:
    below = [model.entry(u).relu() for u in utterances]
    joined, messages = [[h] for h in below], [torch.zeros_like(below[0])] * len(below)
    for layer in model.layers:
        assert isinstance(layer, DAGLayer)
        nodal, contextual = GRUWeights.of(layer.nodal), GRUWeights.of(layer.contextual)
        states: list[Tensor] = []
        for i, x in enumerate(below):
            message = torch.zeros_like(x)
            heard = range(earliest(speakers, i, model.window), i)
            if heard:
                weights = torch.stack([layer.key.weight[0] @ states[j] for j in heard]).softmax(0)
                for a, j in zip(weights, heard, strict=True):
                    relation = layer.same if speakers[j] == speakers[i] else layer.other
                    message = message + a * (relation.weight @ states[j])
            states.append(nodal.step(x, message) + contextual.step(message, x))
            messages[i] = message
            joined[i].append(states[i])
        below = states
    hidden = [
        model.second(model.first(torch.cat([*layers, u])).relu()) for layers, u in zip(joined, utterances, strict=True)
    ]
    return list(zip(hidden, below, messages, strict=True))


@settings(max_examples=40, deadline=None)
@given(conversations(), st.integers(1, 3))
def test_it_is_what_the_equations_say(batch: Conversation, window: int) -> None:
    model = model_of(batch.modalities, window)
    output = batch.run(model)
    ours, theirs = (output.hidden, output.state, output.context), reference(model, batch)
    for tensor, expected in zip(ours, theirs, strict=True):
        assert_close(tensor, expected)


@pytest.mark.parametrize("window", [1, 2, 9])
def test_gradients_by_hand_are_those_of_the_equations(window: int) -> None:
    batch = Conversation(((0, 1, 0, 0, 2, 1, 0), (2,), (1, 1, 0, 1)))
    model = model_of(batch.modalities, window)
    output = batch.run(model)
    assert_close(
        gradients(model, (output.hidden, output.state, output.context)), gradients(model, reference(model, batch))
    )


def test_a_session_forgets_what_nobody_can_hear_any_more() -> None:
    model = model_of(("text",), 2)
    speakers, memory = [0, 1, 2, 0, 1, 2, 1, 1, 0, 2, 2, 2, 2], None
    rows = torch.randn(len(speakers), WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sizes = []
    for row, speaker in zip(rows.split(1), speakers, strict=True):
        hidden, memory = model.hear({"text": row}, torch.tensor([speaker]), memory)
        sizes.append(len(memory.speakers))
    # All that was said until everybody has spoken twice, at the sixth; then back to the last turn but one of whoever
    # has waited longest: 0's first, from the ninth on 2's first, from the tenth on 0's second.
    assert sizes == [1, 2, 3, 4, 5, 6, 7, 8, 7, 7, 8, 9, 10]
    whole = model({"text": rows}, torch.tensor(speakers), Layout.of([len(speakers)]))
    assert_close(hidden, whole.hidden[-1:])
