"""M3Net reproduces its original's recorded outputs with clean weights, and its prefix form its equations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.encoders import ModalityEncoders
from dclf.models.m3net import M3Net, M3NetConfig
from tests.dclf.models.golden import Golden, encoders, load, load_gru, logits_of

MODALITIES = ("text", "audio", "visual")
SPEAKERS = 3
LAYOUT = Layout.of([5, 1, 3])


@pytest.fixture(scope="module")
def recorded() -> tuple[Golden, ModalityEncoders, M3Net]:
    golden = Golden("m3net")
    config = M3NetConfig(node_width=16, width=18)
    model = M3Net(MODALITIES, 2, False, config).double().eval()
    assert model.gru is not None
    load_gru(model.gru, golden, "gru_l")
    load(model.speakers, golden, "graph_model.speaker_embeddings")
    load(model.entry, golden, "graph_model.fc1")
    layers = [golden.weight(f"graph_model.hyperconv{n}.bias") for n in (1, 2, 3)]
    model.hypergraph.load_state_dict({"biases": torch.stack(layers)})
    gates = [golden.weight(f"graph_model.conv{n}.gate.weight").view(2, 18).T for n in (1, 2, 3, 4)]
    biases = [golden.weight(f"graph_model.conv{n}.gate.bias") for n in (1, 2, 3, 4)]
    model.pairs.load_state_dict({"weights": torch.stack(gates), "biases": torch.cat(biases)})
    encode = encoders(golden, {m: f"linear_{x}" for m, x in zip(MODALITIES, "lav", strict=True)}, 16)
    fold_norms(golden, encode)
    return golden, encode, model


def fold_norms(golden: Golden, encode: ModalityEncoders) -> None:
    """Into the text's encoder: the mean of the four batch norms is an affine map."""
    parts = ("weight", "bias", "running_mean", "running_var")
    norms = [{part: golden.weight(f"normBN{x}.{part}") for part in parts} for x in "abcd"]
    scales = [norm["weight"] / (norm["running_var"] + 1e-5).sqrt() for norm in norms]
    shifts = [norm["bias"] - scale * norm["running_mean"] for norm, scale in zip(norms, scales, strict=True)]
    scale, shift = torch.stack(scales).mean(0), torch.stack(shifts).mean(0)
    assert_close(scale * golden.rows("text") + shift, golden.rows("expected/text_mean"), atol=1e-6, rtol=0)
    layer = encode.layers["text"]
    layer.bias.data += layer.weight @ shift
    layer.weight.data *= scale


@torch.no_grad()
def test_every_layer_and_the_logits(recorded: tuple[Golden, ModalityEncoders, M3Net]) -> None:
    golden, encode, model = recorded
    layout, encoded, hidden = golden.layout, encode(golden.features), "expected/unit/hidden"
    for modality, rows in encoded.items():
        assert_close(rows, golden.rows(f"expected/encoded_{modality}"), atol=1e-6, rtol=0)
    assert model.gru is not None
    text = model.gru(encoded["text"], layout)
    assert_close(text, golden.rows("expected/gru_text"), atol=1e-6, rtol=0)
    nodes = model.nodes(encoded, text, golden.rows("speakers"))
    assert_close(nodes, golden.rows("expected/entry"), atol=1e-6, rtol=0)
    assert_close(model.hypergraph(nodes, layout, causal=False), golden.rows("expected/unit/hyper_3"), atol=1e-6, rtol=0)
    assert_close(model.pairs(nodes, layout, causal=False), golden.rows("expected/pair_4"), atol=1e-6, rtol=0)
    output = model(encoded, golden.rows("speakers"), layout)
    assert_close(output.hidden, golden.rows(hidden), atol=1e-6, rtol=0)
    assert_close(output.state, golden.rows(hidden).view(-1, 6, 18).mean(1), atol=1e-6, rtol=0)
    logits = logits_of(golden, model, "smax_fc", output.hidden)
    assert_close(logits, golden.rows("expected/unit/logits"), atol=1e-6, rtol=0)
    assert_close(logits.log_softmax(-1), golden.rows("expected/unit/log_prob"), atol=1e-6, rtol=0)


def small(modalities: tuple[str, ...], *, causal: bool, edge_weights: bool = False) -> M3Net:
    torch.manual_seed(6)
    config = M3NetConfig(node_width=6, width=5, hyper_layers=2, pair_layers=3, edge_weights=edge_weights)
    model = M3Net(modalities, SPEAKERS, causal, config).double().eval()
    torch.nn.init.normal_(model.hypergraph.biases)
    return model


def nodes_of(modalities: tuple[str, ...]) -> Tensor:
    return torch.randn(LAYOUT.utterances, len(modalities), 5, dtype=torch.float64)


def mean(rows: list[Tensor]) -> Tensor:
    return torch.stack(rows).mean(0)


def hyper_of_one(model: M3Net, nodes: Tensor, *, causal: bool) -> Tensor:
    """h_L of one dialogue, node by node, with s = 1/2."""
    n, modalities, _ = nodes.shape
    for bias in model.hypergraph.biases:
        layer = torch.zeros_like(nodes)
        for i in range(n):
            for m in range(modalities):
                of_modality = mean([nodes[j, m] for j in range(i + 1 if causal else n)])
                of_utterance = mean([nodes[i, k] for k in range(modalities)])
                total = (of_modality + of_utterance) / 2 + bias
                layer[i, m] = torch.where(total > 0, total, 0.01 * total)
        nodes = layer
    return nodes


def pairs_of_one(model: M3Net, nodes: Tensor, *, causal: bool) -> Tensor:
    """p_K of one dialogue, node by node."""
    n, modalities, _ = nodes.shape
    for weight, bias in zip(model.pairs.weights, model.pairs.biases, strict=True):
        layer = nodes.clone()
        for i in range(n):
            for m in range(modalities):
                neighbours = [nodes[j, m] for j in range(i if causal else n) if j != i]
                neighbours += [nodes[i, k] for k in range(modalities) if k != m]
                for q in neighbours:
                    gate = torch.tanh(torch.cat((nodes[i, m], q)) @ weight.T.flatten() + bias)
                    layer[i, m] += gate * q / len(neighbours)
        nodes = layer
    return nodes


@torch.no_grad()
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("modalities", [("text",), ("audio", "visual"), MODALITIES])
def test_it_computes_the_equations(modalities: tuple[str, ...], causal: bool) -> None:
    model, nodes = small(modalities, causal=causal), nodes_of(modalities)
    parts = nodes.split(LAYOUT.lengths)
    hyper = torch.cat([hyper_of_one(model, part, causal=causal) for part in parts])
    assert_close(model.hypergraph(nodes, LAYOUT, causal=causal), hyper, atol=1e-12, rtol=0)
    pairs = torch.cat([pairs_of_one(model, part, causal=causal) for part in parts])
    assert_close(model.pairs(nodes, LAYOUT, causal=causal), pairs, atol=1e-12, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("causal", [True, False])
def test_learned_edge_weights_begin_as_none_and_then_weigh_the_hyperedges(causal: bool) -> None:
    plain, learned = small(MODALITIES, causal=causal), small(MODALITIES, causal=causal, edge_weights=True)
    nodes, alone = nodes_of(MODALITIES), Layout.of([1] * LAYOUT.utterances)
    assert torch.equal(learned.hypergraph(nodes, LAYOUT, causal=causal), plain.hypergraph(nodes, LAYOUT, causal=causal))
    shares = learned.hypergraph.shares
    assert shares is not None
    shares.fill_(-40.0)
    # Without the modalities' hyperedges no utterance hears another, and without the utterances' no modality does.
    unheard = learned.hypergraph(nodes, alone, causal=causal)
    assert_close(learned.hypergraph(nodes, LAYOUT, causal=causal), unheard, atol=1e-12, rtol=0)
    shares.fill_(40.0)
    silent = learned.hypergraph(nodes * torch.tensor([1.0, 0, 0])[:, None], LAYOUT, causal=causal)
    assert_close(learned.hypergraph(nodes, LAYOUT, causal=causal)[:, 0], silent[:, 0], atol=1e-12, rtol=0)


def test_learned_edge_weights_have_a_gradient() -> None:
    model = small(MODALITIES, causal=False, edge_weights=True)
    model.hypergraph(nodes_of(MODALITIES), LAYOUT, causal=False).square().sum().backward()
    shares = model.hypergraph.shares
    assert shares is not None
    assert shares.grad is not None
    assert shares.grad.all()
