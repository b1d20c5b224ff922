"""GraphMFT reproduces the recorded outputs of the original, in float64 to 1e-6."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from dclf.models.encoders import ModalityEncoders
from dclf.models.graphmft import GraphMFT, GraphMFTConfig
from dclf.models.pair_graph import PairGraph
from dclf.testing.batches import SPEAKERS, random_rows
from tests.dclf.models.golden import Golden, encoders, load, logits_of

ENCODERS = {m: f"linear_{m}" for m in ("audio", "visual", "text")}
PAIRS = ("av", "al", "vl")

Recording = tuple[Golden, ModalityEncoders, GraphMFT]


@pytest.fixture(scope="module")
def recording() -> Recording:
    golden = Golden("graphmft")
    past, future = (int(golden[key]) for key in ("past", "future"))
    config = GraphMFTConfig(hidden=16, text_width=16, heads=2, layers=3, past=past, future=future)
    model = GraphMFT(tuple(ENCODERS), 2, False, config).double().eval()
    names = {"speakers": "speaker_embeddings", "lstm": "rnn_text", "text": "linear_text_"}
    for ours, theirs in names.items():
        load(model.reader.get_submodule(ours), golden, theirs)
    for graph, pair in zip(model.graphs, PAIRS, strict=True):
        name = f"improvedgat_{pair}.layers.0.convs"
        load(graph.attention.map, golden, f"{name}.lin_src")
        graph.attention.source.data = golden.weight(f"{name}.att_src")[0]
        graph.attention.target.data = golden.weight(f"{name}.att_dst")[0]
        graph.attention.bias.data = golden.weight(f"{name}.bias")
        load(graph.out, golden, f"improvedgat_{pair}.out_mlp")
    load(model.join, golden, "fusion_avl.fc_out")
    return golden, encoders(golden, ENCODERS, 16), model


def test_hidden_and_logits(recording: Recording) -> None:
    golden, encode, model = recording
    output = model(encode(golden.features), golden.rows("speakers"), golden.layout)
    assert_close(output.hidden, golden.rows("expected/hidden"), atol=1e-6, rtol=0)
    logits = logits_of(golden, model, "smax_fc", output.hidden)
    assert_close(logits, golden.rows("expected/logits"), atol=1e-6, rtol=0)


@torch.no_grad()
def test_the_graph_of_every_pair(recording: Recording) -> None:
    golden, encode, model = recording
    read = model.reader(encode(golden.features), golden.rows("speakers"), golden.layout)
    assert model.pairs == (("audio", "visual"), ("audio", "text"), ("visual", "text"))
    for layers, members, pair in zip(model.graphs, model.pairs, PAIRS, strict=True):
        nodes, graph = torch.stack([read[m] for m in members]), PairGraph(golden.layout, model.past, model.future)
        for name, ours in (
            (f"convolution_{pair}", layers.attention(nodes, graph)),
            (f"graph_{pair}", layers(nodes, graph)),
        ):
            expected = golden[f"expected/{name}"]
            expected = expected[:, 0] if expected.ndim == 5 else expected
            packed = torch.stack([golden.layout.pack(member) for member in expected.unbind(1)])
            assert_close(ours, packed, atol=1e-6, rtol=0)


def test_graph_dropout_drops_in_training_alone() -> None:
    torch.manual_seed(3)
    config = GraphMFTConfig(hidden=6, text_width=5, heads=2, layers=2, graph_dropout=0.5, dropout=0.0)
    model = GraphMFT(("audio", "visual"), SPEAKERS, True, config).double()
    _, speakers, layout = random_rows()
    encoded = {m: torch.randn(layout.utterances, 6, dtype=torch.float64) for m in ("audio", "visual")}
    training, silent = model(encoded, speakers, layout).hidden, model.eval()(encoded, speakers, layout).hidden
    assert not torch.allclose(training, silent)
    assert torch.equal(model(encoded, speakers, layout).hidden, silent)


@pytest.mark.parametrize(("option", "value"), [("past", 0), ("future", -1), ("graph_dropout", 1.0)])
def test_impossible_options_are_refused(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{option} must be"):
        GraphMFTConfig(**{option: value})
