"""GraphSmile reproduces its original's recorded outputs and losses, every edge with the weight 1."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.losses.terms import Term
from dclf.models.encoders import ModalityEncoders
from dclf.models.graphsmile import GraphSmile, GraphSmileConfig
from dclf.models.pair_streams import Adjacency, normalised_band
from dclf.models.sentiment import SentimentTerms, blocks_of
from tests.dclf.models.golden import Golden, encoders, load, logits_of

MODALITIES = ("text", "visual", "audio")
PAIRS = ("tv", "ta", "va")
EMOTIONS = ("happy", "sad", "neutral", "angry", "excited", "frustrated")


def config_of(golden: Golden) -> GraphSmileConfig:
    past, future, window = (int(golden[key]) for key in ("past", "future", "shift_window"))
    return GraphSmileConfig(width=16, layers=3, past=past, future=future, shift_window=window)


@pytest.fixture(scope="module")
def recorded() -> tuple[Golden, ModalityEncoders, GraphSmile]:
    golden = Golden("graphsmile")
    model = GraphSmile(MODALITIES, 2, False, config_of(golden)).double().eval()
    for pair, graph in zip(PAIRS, model.graphs, strict=True):
        names = [f"hetergconv_{pair}.{layer}" for layer in ("hetergcn_layers.{}.hetergconv", "fc_layers.{}.0")]
        parts = [layers_of(golden, f"{name}.{part}") for name in names for part in ("weight", "bias")]
        parts[2] = parts[2].mT
        for ours, theirs in zip(graph.parts(), parts, strict=True):
            ours.data.copy_(theirs.view_as(ours))
    load(model.fusion, golden, "modal_fusion.0")
    encode = encoders(golden, {m: f"dim_layer_{m[0]}.0" for m in MODALITIES}, 16)
    fold_norm(golden, encode)
    return golden, encode, model


def layers_of(golden: Golden, name: str) -> Tensor:
    return torch.stack([golden.weight(name.format(k)) for k in range(3)])


def fold_norm(golden: Golden, encode: ModalityEncoders) -> None:
    """Into the text's encoder."""
    norm = {part: golden.weight(f"batchnorms_t.0.{part}") for part in ("weight", "bias", "running_mean", "running_var")}
    scale = norm["weight"] / (norm["running_var"] + 1e-5).sqrt()
    shift = norm["bias"] - scale * norm["running_mean"]
    layer = encode.layers["text"]
    layer.bias.data += layer.weight @ shift
    layer.weight.data *= scale


def terms_of(golden: Golden, model: GraphSmile) -> SentimentTerms:
    terms = model.auxiliary(EMOTIONS)
    assert isinstance(terms, SentimentTerms)
    assert terms.sentiment is not None
    assert terms.shift is not None
    load(terms.sentiment, golden, "sen_output")
    name = "senshift.shift_output_layer.0"
    first, second = golden.weight(f"{name}.weight").split(16, 1)
    terms.shift.load_state_dict({"first": first, "second": second, "bias": golden.weight(f"{name}.bias")})
    return terms.double()


def cross_entropy(logits: Tensor, labels: Tensor) -> Term:
    return Term(nn.functional.cross_entropy(logits, labels, reduction="sum"), torch.tensor(float(len(labels))))


@torch.no_grad()
def test_graphs_hidden_and_logits(recorded: tuple[Golden, ModalityEncoders, GraphSmile]) -> None:
    golden, encode, model = recorded
    encoded = encode(golden.features)
    for modality, rows in encoded.items():
        assert_close(rows, golden.rows(f"expected/encoded_{modality}"), atol=1e-6, rtol=0)
    nodes = {m: golden.rows(f"expected/nodes_{m}") for m in MODALITIES}
    adjacency = Adjacency.of(golden.layout, *model.window, nodes["text"])
    for name, pair, graph in zip(PAIRS, model.members, model.graphs, strict=True):
        expected = golden.layout.pack(golden[f"unit/graph_{name}"].transpose(1, 2))
        assert_close(graph(torch.stack([nodes[m] for m in pair], 1), adjacency), expected, atol=1e-6, rtol=0)
    output = model(encoded, golden.rows("speakers"), golden.layout)
    assert_close(output.hidden, golden.rows("unit/hidden"), atol=1e-6, rtol=0)
    logits = logits_of(golden, model, "emo_output", output.hidden)
    assert_close(logits, golden.rows("unit/logits"), atol=1e-6, rtol=0)
    assert_close(logits.log_softmax(-1), golden.rows("unit/log_prob"), atol=1e-6, rtol=0)


def test_the_adjacency(recorded: tuple[Golden, ModalityEncoders, GraphSmile]) -> None:
    golden, _, model = recorded
    for n, expected in zip(golden.layout.lengths, golden["unit/adjacency"].view(3, 2, 9, 2, 9), strict=True):
        for receiver in (0, 1):
            rows = expected[receiver, :n, 1 - receiver, :n]
            assert_close(normalised_band(n, model.config.past, model.config.future), rows, atol=1e-6, rtol=0)


@torch.no_grad()
def test_its_own_terms(recorded: tuple[Golden, ModalityEncoders, GraphSmile]) -> None:
    golden, encode, model = recorded
    terms, layout, labels = terms_of(golden, model), golden.layout, golden.rows("labels")
    assert torch.equal(terms.sentiments, golden["sentiment_of_emotion"])
    output = model(encode(golden.features), golden.rows("speakers"), layout)
    assert terms.sentiment is not None
    assert_close(terms.sentiment(output.hidden), golden.rows("unit/logits_sentiment"), atol=1e-6, rtol=0)
    assert terms.shift is not None
    shifts = terms.shift(output.hidden, blocks_of(layout, terms.window))
    assert_close(shifts, golden["unit/shift_logits"][golden["expected/shift_pairs"] == 1], atol=1e-6, rtol=0)
    batch = Batch(
        layout, golden.features, golden.rows("speakers"), labels, torch.full_like(labels, -1), ("a", "b", "c")
    )
    losses = terms(output, golden.rows("unit/logits"), batch, cross_entropy)
    for name, term in losses.items():
        assert_close(float(term.total / term.count), golden[f"unit/loss_{name}"].item(), atol=1e-6, rtol=0)
    emotion = cross_entropy(golden.rows("unit/logits"), labels)
    whole = emotion.total / emotion.count + sum(terms.weights[n] * t.total / t.count for n, t in losses.items())
    assert_close(float(whole), golden["unit/loss"].item(), atol=1e-6, rtol=0)


def small(*, causal: bool = True, modalities: tuple[str, ...] = MODALITIES, **options: float) -> GraphSmile:
    torch.manual_seed(2)
    config = GraphSmileConfig(**{"width": 4, "layers": 3, "past": 2, "shift_window": 3, **options})  # type: ignore[arg-type]
    return GraphSmile(modalities, 2, causal, config).double().eval()


def encoded(count: int) -> dict[str, Tensor]:
    return {m: torch.randn(count, 4, dtype=torch.float64) for m in MODALITIES}


def test_hidden_reads_what_lies_in_reach_and_a_session_keeps_no_more() -> None:
    model, rows, speakers = small(), encoded(20), torch.zeros(20, dtype=torch.int64)
    whole = model(rows, speakers, Layout.of([20])).hidden
    # Layers x past utterances back, whose own numbers of heard ones hang on the past before them.
    late = model({m: x[20 - 9 :] for m, x in rows.items()}, speakers[:9], Layout.of([9])).hidden
    assert_close(late[-1], whole[-1], atol=1e-12, rtol=0)
    changed = {m: torch.where(torch.arange(20)[:, None] == 19 - 6, 3 * x, x) for m, x in rows.items()}
    assert not torch.allclose(model(changed, speakers, Layout.of([20])).hidden[-1], whole[-1])
    memory = None
    for i in range(20):
        hidden, memory = model.hear({m: x[i : i + 1] for m, x in rows.items()}, speakers[:1], memory)
        assert_close(hidden, whole[i : i + 1], atol=1e-12, rtol=0)
    assert memory is not None
    shapes = [rows.shape for streams in memory.streams if streams is not None for rows in streams]
    assert shapes == [(2, 2, 4)] * 9  # the past two of both members, in every layer of every pair


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 0.5), (0.0, 0.0)])
def test_a_weight_of_0_switches_a_head_off(weights: tuple[float, float]) -> None:
    terms = small(sentiment_weight=weights[0], shift_weight=weights[1]).auxiliary(EMOTIONS)
    positive_weights = {name: weight for name, weight in zip(("sentiment", "shift"), weights, strict=True) if weight}
    assert (terms is None) == (not positive_weights)
    if terms is not None:
        assert terms.weights == positive_weights
        assert {name.split(".")[0] for name, _ in terms.named_parameters()} == {*positive_weights}


def test_classes_without_a_sentiment_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"are also calm, bored; model\.options\.sentiment_weight: 0 and .* switch off"
    ):
        small().auxiliary(("joy", "calm", "bored"))
    assert small(sentiment_weight=0, shift_weight=0).auxiliary(("calm",)) is None


@pytest.mark.parametrize(
    ("option", "least"), [("sentiment_weight", "0"), ("shift_weight", "0"), ("future", "a whole number of 0")]
)
def test_impossible_weights_and_windows_are_refused(option: str, least: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be {least} or more, is -1"):
        GraphSmileConfig(**{option: -1})  # type: ignore[arg-type]
