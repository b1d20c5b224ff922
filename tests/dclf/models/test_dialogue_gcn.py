"""DialogueGCN reproduces the original with the paper's windows and weights, in float64 to 1e-6."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.dialogue_gcn import DialogueGCN, DialogueGCNConfig, RelationalLayer, band
from dclf.models.encoders import ModalityEncoders
from tests.dclf.models.golden import Golden, encoders, load, logits_of

ENCODERS = {m: f"encoder_{m}" for m in ("text", "audio", "visual")}


@pytest.fixture(scope="module")
def recording() -> tuple[Golden, ModalityEncoders, DialogueGCN]:
    golden = Golden("dialoguegcn")
    past, future = int(golden["window_past"]), int(golden["window_future"])
    config = DialogueGCNConfig(encoder_width=8, lstm_width=10, graph_width=16, past=past, future=future)
    model = DialogueGCN(tuple(ENCODERS), 2, False, config).double().eval()
    load(model.lstm, golden, "lstm")
    load(model.nodal, golden, "graph_net.matchatt.transform")
    load(model.linear, golden, "graph_net.linear")
    load(model.own, golden, "graph_net.conv2.lin")
    model.heard.load_state_dict({"weight": golden.weight("graph_net.conv2.weight").T})
    model.relational.load_state_dict(relational_state(golden))
    return golden, encoders(golden, ENCODERS, 8), model


def relational_state(golden: Golden) -> dict[str, Tensor]:
    first = "graph_net.conv1"
    maps = torch.einsum("rk,kdg->rdg", golden.weight(f"{first}.att"), golden.weight(f"{first}.basis"))
    return {
        "relations": maps.unflatten(0, (2, 2, 2)).permute(0, 3, 2, 1, 4),  # from sender, receiver, direction
        "edge.weight": golden.weight("edge.weight"),
        "root.weight": golden.weight(f"{first}.root").T,
        "root.bias": golden.weight(f"{first}.bias"),
    }


@torch.no_grad()
def test_hidden_and_logits(recording: tuple[Golden, ModalityEncoders, DialogueGCN]) -> None:
    golden, encode, model = recording
    output = model(encode(golden.features), golden.rows("speakers"), golden.layout)
    assert_close(output.hidden, golden.rows("clean/hidden"), atol=1e-6, rtol=0)
    assert_close(output.state, golden.rows("clean/graph"), atol=1e-6, rtol=0)
    logits = logits_of(golden, model, "graph_net.smax_fc", output.hidden)
    assert_close(logits, golden.rows("clean/logits"), atol=1e-6, rtol=0)
    assert_close(logits.log_softmax(-1), golden.rows("clean/log_prob"), atol=1e-6, rtol=0)


@torch.no_grad()
def test_what_lies_on_the_way(recording: tuple[Golden, ModalityEncoders, DialogueGCN]) -> None:
    golden, encode, model = recording
    encoded, layout = encode(golden.features), golden.layout
    utterances = model.lstm(torch.cat([encoded[m] for m in model.modalities], 1), layout)
    assert_close(utterances, golden.rows("expected/lstm"), atol=1e-6, rtol=0)
    window = band(layout, model.past, model.future)
    assert torch.equal(window, golden["clean/relation"] >= 0)
    weights = model.relational.weights(utterances, window, layout)
    assert_close(layout.pack(weights), golden.rows("clean/edge_weight"), atol=1e-6, rtol=0)
    relational = model.relational(utterances, golden.rows("speakers"), window, layout)
    assert_close(relational, golden.rows("clean/relational"), atol=1e-6, rtol=0)
    attended = model._attend(golden.rows("clean/joined"), layout)
    assert_close(attended, golden.rows("clean/attended"), atol=1e-6, rtol=0)


@torch.no_grad()
def test_relations_of_many_speakers_are_those_of_a_loop() -> None:
    torch.manual_seed(2)
    layer, layout, speakers = RelationalLayer(5, 4, 4).double(), Layout.of([4, 1, 6]), [0, 3, 3, 1, 1, 3, 0, 1, 0, 0, 3]
    rows = torch.randn(11, 5, dtype=torch.float64)
    window = band(layout, 3, 1)
    output = layer(rows, torch.tensor(speakers), window, layout)
    weights = layout.pack(layer.weights(rows, window, layout))
    for i in range(11):
        total = layer.root(rows[i])
        for j in range(11):
            if layout.dialogue_of[i] == layout.dialogue_of[j] and -3 <= j - i <= 1:
                share = weights[i, layout.time[j]]
                total = total + share * rows[j] @ layer.relations[speakers[j], :, int(j >= i), speakers[i]]
        assert_close(output[i], total)


def test_the_windows_bound_what_the_graph_hears() -> None:
    torch.manual_seed(2)
    config = DialogueGCNConfig(encoder_width=6, lstm_width=4, graph_width=5, past=2, future=1)
    model, layout = DialogueGCN(("text",), 3, False, config).double(), Layout.of([12])
    rows = torch.randn(12, 8, dtype=torch.float64, requires_grad=True)
    graph = model._graph(rows, torch.arange(12) % 3, layout)
    (heard,) = torch.autograd.grad(graph[6].sum(), rows)
    assert heard.any(1).nonzero()[:, 0].tolist() == [*range(2, 9)]  # two hops of 2 back and 1 ahead


@pytest.mark.parametrize("future", [-1, 1.5, True])
def test_an_impossible_future_is_told(future: int) -> None:
    with pytest.raises(ValueError, match="future must be a whole number of 0 or more, is"):
        DialogueGCNConfig(future=future)
