"""GraphCFC reproduces the recorded outputs of the original, in float64 to 1e-6; what its own terms count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from dclf.models.encoders import ModalityEncoders
from dclf.models.graphcfc import GraphCFC, GraphCFCConfig
from dclf.models.pair_graph import PairGraph
from dclf.models.relation_attention import RelationGraph
from tests.dclf.models.golden import Golden, encoders, load

ENCODERS = {m: f"linear_{m}" for m in ("audio", "visual", "text")}
STAGES = ("av", "av_l", "av_l_share")


def extractor(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.0.0": f"{theirs}.fc", f"{ours}.0.3": f"{theirs}.fc1", f"{ours}.1": f"{theirs}.norm"}


def stage(number: int) -> dict[str, str]:
    ours, layer = f"stages.{number}", f"gatmlp_{STAGES[number]}.layers.0"
    attention = {"source": "lin_l", "target": "lin_r", "relation": "lin_edge"}
    return {
        **{f"{ours}.attention.{part}": f"{layer}.convs.{name}" for part, name in attention.items()},
        f"{ours}.norm": f"{layer}.norm",
        f"{ours}.feed.0": f"{layer}.fc",
        f"{ours}.feed.3": f"{layer}.fc1",
        f"{ours}.feed_norm": f"{layer}.norm1",
        f"{ours}.join": f"fusion_{STAGES[number]}.fc_out",
    }


def recorded(golden: Golden) -> GraphCFC:
    past, future = (int(golden[key]) for key in ("past", "future"))
    config = GraphCFCConfig(hidden=16, text_width=16, heads=2, layers=3, past=past, future=future)
    model = GraphCFC(tuple(ENCODERS), 2, False, config).double().eval()
    names = {"reader.speakers": "speaker_embeddings", "reader.lstm": "rnn_text", "reader.text": "linear_text_"}
    names |= {"relations": "rel_embeddings1", "share": "fc_share"} | extractor("shared", "densnet_share.layers.0")
    for modality in ENCODERS:
        names |= extractor(f"single.{modality}", f"densnet_{modality}.layers.0")
    for number in range(3):
        names |= stage(number)
        attention = model.stages[number].attention
        attention.attention.data = golden.weight(f"gatmlp_{STAGES[number]}.layers.0.convs.att")[0]
        attention.bias.data = golden.weight(f"gatmlp_{STAGES[number]}.layers.0.convs.bias")
    for ours, theirs in names.items():
        if ours.endswith("attention"):
            continue
        load(model.get_submodule(ours), golden, theirs)
    return model


@pytest.fixture(scope="module")
def graphcfc() -> tuple[Golden, ModalityEncoders, GraphCFC]:
    golden = Golden("graphcfc")
    return golden, encoders(golden, ENCODERS, 16), recorded(golden)


def test_hidden_and_logits(graphcfc: tuple[Golden, ModalityEncoders, GraphCFC]) -> None:
    golden, encode, model = graphcfc
    encoded, speakers = encode(golden.features), golden.rows("speakers")
    for modality, rows in model.reader(encoded, speakers, golden.layout).items():
        assert_close(rows, golden.rows(f"expected/nodes_{modality}"), atol=1e-6, rtol=0)
    output = model(encoded, speakers, golden.layout)
    for modality in ENCODERS:
        assert_close(output.auxiliary[modality], golden.rows(f"expected/single_{modality}"), atol=1e-6, rtol=0)
    assert_close(output.auxiliary["share"], golden.rows("expected/share"), atol=1e-6, rtol=0)
    assert_close(output.hidden, golden.rows("expected/hidden"), atol=1e-6, rtol=0)
    decoder = model.decoder(16, 6).double()
    load(decoder, golden, "smax_fc")
    assert_close(decoder(output.hidden), golden.rows("expected/logits"), atol=1e-6, rtol=0)
