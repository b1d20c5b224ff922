"""MM-DFN reproduces the recorded outputs of the original, in float64 to 1e-6."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.dialogue_graph import DialogueGraph
from dclf.models.encoders import ModalityEncoders
from dclf.models.mm_dfn import MMDFN, MMDFNConfig
from dclf.testing.batches import random_rows
from tests.dclf.models.golden import Golden, encoders, load_gru, logits_of

ENCODERS = {"audio": "linear_a", "visual": "linear_v", "text": "linear_l"}
LAYERS = 4


@pytest.fixture(scope="module")
def recording() -> tuple[Golden, ModalityEncoders, MMDFN]:
    golden = Golden("mm_dfn")
    audio, visual, text = golden["speaker_weights"].tolist()
    weights = {"party_audio": audio, "party_visual": visual, "party_text": text}
    config = MMDFNConfig(hidden=12, node_width=16, layers=LAYERS, **weights)
    model = MMDFN(("text", "visual", "audio"), 2, False, config).double().eval()
    assert model.text is not None
    assert model.parties is not None
    load_gru(model.text, golden, "lstm_l")
    load_gru(model.parties, golden, "rnn_parties")
    prefix = "graph_model.graph_net"
    state = {f"weights.{i}": golden.weight(f"{prefix}.convs.{i}.weight") for i in range(LAYERS)}
    state |= {f"entry.{part}": golden.weight(f"{prefix}.fcs.0.{part}") for part in ("weight", "bias")}
    state |= {
        f"cell.{part}": golden.weight(f"{prefix}.rnn.{part}_l0") for part in dict(model.fusion.cell.named_parameters())
    }
    model.fusion.load_state_dict(state)
    return golden, encoders(golden, ENCODERS, 16), model


@torch.no_grad()
def test_hidden_and_logits(recording: tuple[Golden, ModalityEncoders, MMDFN]) -> None:
    golden, encode, model = recording
    output = model(encode(golden.features), golden.rows("speakers"), golden.layout)
    assert_close(output.hidden, golden.rows("expected/hidden"), atol=1e-6, rtol=0)
    assert_close(output.state, golden.rows("expected/state"), atol=1e-6, rtol=0)
    logits = logits_of(golden, model, "smax_fc", output.hidden)
    assert_close(logits, golden.rows("expected/logits"), atol=1e-6, rtol=0)
    assert_close(logits.log_softmax(-1), golden.rows("expected/log_prob"), atol=1e-6, rtol=0)


@torch.no_grad()
def test_what_lies_on_the_way(recording: tuple[Golden, ModalityEncoders, MMDFN]) -> None:
    golden, encode, model = recording
    encoded, speakers, layout = encode(golden.features), golden.rows("speakers"), golden.layout
    assert model.text is not None
    assert_close(model.text(encoded["text"], layout), golden.rows("expected/gru_text"), atol=1e-6, rtol=0)
    for modality, party in model._parties(encoded, layout, speakers).items():
        assert_close(party, golden.rows(f"expected/party_{modality}"), atol=1e-6, rtol=0)
    nodes = model._nodes(encoded, speakers, layout)
    for place, modality in enumerate(model.modalities):
        assert_close(nodes[:, place], golden.rows(f"expected/nodes_{modality}"), atol=1e-6, rtol=0)
    outputs = model.fusion.layers(nodes, DialogueGraph.of(nodes, layout, causal=False))
    layers = golden["expected/layers"].permute(0, 3, 1, 2, 4)  # [B, L, K + 1, M, F]
    assert_close(torch.stack(outputs, 1), layout.pack(layers), atol=1e-6, rtol=0)


def small(**options: float) -> MMDFN:
    torch.manual_seed(5)
    config = MMDFNConfig(hidden=6, node_width=8, layers=3, **options)
    return MMDFN(("text", "audio"), 3, True, config).double()


def rows() -> tuple[dict[str, torch.Tensor], torch.Tensor, Layout]:
    _, speakers, layout = random_rows()
    generator = torch.Generator().manual_seed(1)
    draw = {m: torch.randn(len(speakers), 8, generator=generator, dtype=torch.float64) for m in ("text", "audio")}
    return draw, speakers, layout


def test_parties_are_known_by_who_speaks_alone() -> None:
    model, (encoded, speakers, layout) = small().eval(), rows()
    hidden = model(encoded, speakers, layout).hidden
    assert_close(model(encoded, 2 - speakers, layout).hidden, hidden)
    assert not torch.allclose(model(encoded, torch.zeros_like(speakers), layout).hidden, hidden)


def test_with_weights_of_zero_nobody_asks_who_speaks() -> None:
    model, (encoded, speakers, layout) = small(party_audio=0.0, party_text=0.0).eval(), rows()
    assert model.parties is None
    hidden = model(encoded, speakers, layout).hidden
    assert torch.equal(model(encoded, torch.zeros_like(speakers), layout).hidden, hidden)


def test_the_same_part_of_the_nodes_drops_out_of_the_graph_and_of_hidden() -> None:
    model, batch = small(dropout=0.5).train(), rows()
    nodes: list[torch.Tensor] = []
    model.fusion.register_forward_pre_hook(lambda _, arguments: nodes.append(arguments[0]))
    hidden = model(*batch).hidden.unflatten(1, (2, 14))
    assert torch.equal(hidden[..., :8], nodes[0])
    assert 0.3 < float((nodes[0] == 0).double().mean()) < 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"node_width": 7}, "node_width must be even, half for each direction of the GRUs, is 7"),
        ({"alpha": 1.5}, r"alpha must be in \[0, 1\], is 1.5"),
        ({"lambda_": 2.0}, r"lambda_ must be in \[0, e - 1\], is 2.0"),
        ({"party_visual": -1.0}, "party_visual must be 0 or more and finite, is -1.0"),
    ],
)
def test_impossible_options_are_told(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MMDFNConfig(**options)  # type: ignore[arg-type]
