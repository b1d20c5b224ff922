"""MMGCN and DDIN reproduce the recorded outputs of the originals, in float64 to 1e-6."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from dclf.models.ddin import DDIN, DDINConfig
from dclf.models.dialogue_graph import DialogueGraph, across_similarity, unit_rows, within_similarity
from dclf.models.encoders import ModalityEncoders
from dclf.models.mmgcn import MMGCN, MMGCNConfig
from dclf.models.positions import positional_table
from tests.dclf.models.golden import Golden, encoders, load, logits_of

LETTER = {"text": "t", "visual": "v", "audio": "a"}
MMGCN_ENCODER = {"text": "l", "visual": "v", "audio": "a"}
ATTENTIONS = {"tt": 1, "vv": 2, "aa": 3, "ta": 4, "at": 5, "tv": 6, "vt": 7, "av": 8, "va": 9}
"""Number of the attention from history to query."""
STACKED = {"text": "tav", "audio": "atv", "visual": "vta"}
"""Order in which the original fuses the pooled histories of each query."""
FUSING = {"text": 1, "audio": 2, "visual": 3}


@pytest.fixture(scope="module")
def mmgcn() -> tuple[Golden, ModalityEncoders, MMGCN]:
    golden = Golden("mmgcn")
    model = MMGCN(("text", "visual", "audio"), 2, False, MMGCNConfig()).double().eval()
    prefix = "graph_model.graph_net"
    state = {f"lstm.{key.removeprefix('weights/lstm_l.')}": golden[key] for key in golden.arrays if "lstm_l." in key}
    state |= {f"graph.weights.{i}": golden.weight(f"{prefix}.convs.{i}.weight") for i in range(4)}
    state |= {f"graph.entry.{part}": golden.weight(f"{prefix}.fcs.0.{part}") for part in ("weight", "bias")}
    state["speakers.weight"] = golden.weight("graph_model.speaker_embeddings.weight")
    model.load_state_dict(state)
    return golden, encoders(golden, {m: f"linear_{x}" for m, x in MMGCN_ENCODER.items()}, 200), model


def test_mmgcn_hidden_and_logits(mmgcn: tuple[Golden, ModalityEncoders, MMGCN]) -> None:
    golden, encode, model = mmgcn
    encoded = encode(golden.features)
    for modality, rows in encoded.items():
        assert_close(rows, golden.rows(f"expected/encoded_{modality}"), atol=1e-6, rtol=0)
    assert model.lstm is not None
    assert_close(model.lstm(encoded["text"], golden.layout), golden.rows("expected/lstm_text"), atol=1e-6, rtol=0)
    output = model(encoded, golden.rows("speakers"), golden.layout)
    assert_close(output.hidden, golden.rows("expected/hidden"), atol=1e-6, rtol=0)
    logits = logits_of(golden, model, "smax_fc", output.hidden)
    assert_close(logits, golden.rows("expected/logits"), atol=1e-6, rtol=0)
    assert_close(logits.log_softmax(-1), golden.rows("expected/log_prob"), atol=1e-6, rtol=0)


@torch.no_grad()
def test_mmgcn_similarity_and_adjacency(mmgcn: tuple[Golden, ModalityEncoders, MMGCN]) -> None:
    golden, encode, model = mmgcn
    nodes = model._nodes(encode(golden.features), golden.rows("speakers"), golden.layout)
    graph = DialogueGraph.of(nodes, golden.layout, causal=False)
    unit = unit_rows(nodes)
    flat, _ = within_similarity(unit, golden.layout, causal=False)
    similar_across = across_similarity(unit)
    start = 0
    for dialogue, n in enumerate(golden.layout.lengths):
        similarity = flat[start : start + 3 * n * n].view(3, n, n)
        start += 3 * n * n
        rows = golden.layout.dialogue_of == dialogue
        for name, within, across in (
            ("similarity", similarity, similar_across[rows]),
            ("adjacency", graph.blocks()[dialogue], graph.across[rows]),
        ):
            expected = golden[f"expected/{name}"][dialogue].view(3, 9, 3, 9)[:, :n, :, :n]
            built = torch.diag_embed(across.permute(1, 2, 0)).transpose(1, 2).clone()
            for m in range(3):
                built[m, :, m] = within[m]
            assert_close(built, expected, atol=1e-6, rtol=0)


def small_ddin() -> DDIN:
    config = DDINConfig(encoder_width=16, history_width=24, party_width=18, emotion_width=10, decoder_width=14)
    return DDIN(("text", "visual", "audio"), 2, True, config).double().eval()


def test_ddin_logits() -> None:
    golden, model = Golden("ddin_classifier"), small_ddin()
    decoder = model.decoder(model.hidden_width, 6).double().eval()
    load(model.linear, golden, "linear")
    load(decoder[2], golden, "smax_fc")
    hidden = model.linear(golden.rows("hidden"))
    assert_close(hidden, golden.rows("expected/linear"), atol=1e-6, rtol=0)
    assert_close(decoder(hidden), golden.rows("expected/logits"), atol=1e-6, rtol=0)


def test_ddin_state() -> None:
    golden = Golden("ddin")
    model, modalities = small_ddin(), ("text", "visual", "audio")
    model.cells[0].load_state_dict(ddin_state(golden, modalities))
    encode = encoders(golden, {m: f"dialogue_cell.dense_{x}" for m, x in LETTER.items()}, 16)
    output = model(encode(golden.features), golden.rows("speakers"), golden.layout)
    assert_close(output.state, golden.rows("expected/hidden"), atol=1e-6, rtol=0)
    assert_close(positional_table(9, 24).double(), golden["positional"], atol=1e-6, rtol=0)


def ddin_state(golden: Golden, modalities: tuple[str, ...]) -> dict[str, Tensor]:
    state = {}
    for cell, letter in (("history", "g"), ("party", "p"), ("emotion", "e")):
        for ours, theirs in (("input", "ih"), ("state", "hh")):
            names = [f"dialogue_cell.{letter}_cell_{LETTER[m]}" for m in modalities]
            state[f"{cell}.{ours}_weight"] = torch.stack([golden.weight(f"{n}.weight_{theirs}").T for n in names])
            state[f"{cell}.{ours}_bias"] = torch.stack([golden.weight(f"{n}.bias_{theirs}")[None] for n in names])
    state["transform"] = torch.stack([transforms_to(golden, m, modalities) for m in modalities])
    scalars = [golden.weight(f"dialogue_cell.my_self_att{FUSING[m]}.scalar.weight")[0] for m in modalities]
    state["score"] = torch.stack(scalars)
    state["fuse"] = torch.stack([fusing(golden, m, modalities) for m in modalities])
    biases = [golden.weight(f"dialogue_cell.dense{FUSING[m]}.bias")[None] for m in modalities]
    state["fuse_bias"] = torch.stack(biases)
    return state


def transforms_to(golden: Golden, query: str, modalities: tuple[str, ...]) -> Tensor:
    numbers = [ATTENTIONS[LETTER[history] + LETTER[query]] for history in modalities]
    return torch.cat([golden.weight(f"dialogue_cell.attention{n}.transform.weight").T for n in numbers], 1)


def fusing(golden: Golden, query: str, modalities: tuple[str, ...]) -> Tensor:
    parts = golden.weight(f"dialogue_cell.dense{FUSING[query]}.weight").T.split(24)
    return torch.cat([parts[STACKED[query].index(LETTER[history])] for history in modalities])
