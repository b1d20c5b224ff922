"""GraphCFC reproduces the recorded outputs of the original, in float64 to 1e-6; what its own terms count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.losses.terms import Term
from dclf.models.contract import BaseOutput, CrossEntropy
from dclf.models.encoders import ModalityEncoders
from dclf.models.graphcfc import Classifiers, GraphCFC, GraphCFCConfig
from dclf.models.pair_graph import PairGraph
from dclf.models.relation_attention import RelationGraph
from dclf.testing.batches import SPEAKERS, random_rows
from tests.dclf.models.golden import Golden, encoders, load, logits_of

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
        load(model.get_submodule(ours), golden, theirs)
    return model


Recording = tuple[Golden, ModalityEncoders, GraphCFC]


@pytest.fixture(scope="module")
def recording() -> Recording:
    golden = Golden("graphcfc")
    return golden, encoders(golden, ENCODERS, 16), recorded(golden)


def test_hidden_and_logits(recording: Recording) -> None:
    golden, encode, model = recording
    encoded, speakers = encode(golden.features), golden.rows("speakers")
    for modality, rows in model.reader(encoded, speakers, golden.layout).items():
        assert_close(rows, golden.rows(f"expected/nodes_{modality}"), atol=1e-6, rtol=0)
    output = model(encoded, speakers, golden.layout)
    for modality in ENCODERS:
        assert_close(output.auxiliary[modality], golden.rows(f"expected/single_{modality}"), atol=1e-6, rtol=0)
    assert_close(output.auxiliary["share"], golden.rows("expected/share"), atol=1e-6, rtol=0)
    assert_close(output.hidden, golden.rows("expected/hidden"), atol=1e-6, rtol=0)
    logits = logits_of(golden, model, "smax_fc", output.hidden)
    assert_close(logits, golden.rows("expected/logits"), atol=1e-6, rtol=0)


def test_the_classifiers_of_its_own_terms(recording: Recording) -> None:
    golden, encode, model = recording
    auxiliary = model.auxiliary(tuple("abcdef"))
    assert isinstance(auxiliary, Classifiers)
    output = model(encode(golden.features), golden.rows("speakers"), golden.layout)
    assert auxiliary.weights == dict.fromkeys(("audio", "visual", "text", "share"), 1.0)
    for name, head in auxiliary.double().heads.items():
        load(head, golden, f"smax_fc_{name}")
        assert_close(head(output.auxiliary[name]), golden.rows(f"expected/logits_{name}"), atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_first_layer(recording: Recording) -> None:
    golden, _, model = recording
    graph = PairGraph(golden.layout, model.past, model.future)
    relations = RelationGraph(graph, golden.rows("speakers"), model.get_buffer("numbers"), 2)
    nodes = torch.stack([golden.rows(f"expected/single_{m}") for m in ("audio", "visual")])
    attention = model.stages[0].attention
    heard = attention(nodes, attention.edges(model.relations.weight, relations), [])
    expected = golden["expected/convolution_av"][:, 0].unbind(1)
    assert_close(heard, torch.stack([golden.layout.pack(member) for member in expected]), atol=1e-6, rtol=0)


def test_edges_and_relations_are_the_recorded_ones(recording: Recording) -> None:
    golden, _, model = recording
    graph = PairGraph(golden.layout, int(golden["past"]), int(golden["future"]))
    for dialogue, (n, heard) in enumerate(zip(golden.layout.lengths, graph.hearing, strict=True)):
        recorded, who = golden["expected/edges"][dialogue], golden["speakers"][dialogue][:n]
        assert torch.equal(recorded[:n, :n] >= 0, heard)
        numbers = model.get_buffer("numbers")[who][:, who]
        assert torch.equal(recorded[:n, :n], torch.where(heard, numbers, -1))


def model_of(modalities: tuple[str, ...], **options: float) -> GraphCFC:
    torch.manual_seed(3)
    return GraphCFC(modalities, SPEAKERS, True, GraphCFCConfig(hidden=6, text_width=5, heads=2, layers=1, **options))


@pytest.mark.parametrize(
    ("modalities", "options", "names"),
    [
        (("text", "audio"), {}, ["audio", "text", "share"]),
        (("text",), {}, ["text"]),
        (("text", "audio"), {"single_weight": 0.0, "share_weight": 0.5}, ["share"]),
        (("text", "audio"), {"single_weight": 0.0, "share_weight": 0.0}, []),
    ],
)
def test_a_weight_of_zero_leaves_classifiers_out(
    modalities: tuple[str, ...], options: dict[str, float], names: list[str]
) -> None:
    model = model_of(modalities, **options)
    features, speakers, layout = random_rows()
    encoded = {m: features["audio"][:, :1].float().repeat(1, model.encoder_width_of(m)) for m in modalities}
    assert list(model(encoded, speakers, layout).auxiliary) == names
    auxiliary = model.auxiliary(("a", "b"))
    assert (auxiliary is None) == (not names)
    assert auxiliary is None or list(auxiliary.weights) == list(auxiliary(*terms_of(names))) == names


def terms_of(names: list[str]) -> tuple[BaseOutput, Tensor, Batch, CrossEntropy]:
    """What an auxiliary reads, of three utterances, the second without audio."""
    rows, layout = torch.arange(18.0).view(3, 6), Layout.of([3])
    present = {"audio": torch.tensor([True, False, True])}
    batch = Batch(layout, {}, torch.zeros(3), torch.tensor([0, 1, 1]), torch.zeros(3), ("d",), present)
    return BaseOutput(rows, rows, rows, dict.fromkeys(names, rows)), rows, batch, labels_counted


def labels_counted(logits: Tensor, labels: Tensor) -> Term:
    assert len(logits) == len(labels)
    return Term(logits.sum(), labels.sum() * 10 + len(labels))


def test_a_modality_s_term_does_not_count_utterances_without_it() -> None:
    auxiliary = model_of(("audio", "text")).auxiliary(("a", "b"))
    assert auxiliary is not None
    terms = auxiliary(*terms_of(["audio", "text", "share"]))
    assert {name: int(term.count) for name, term in terms.items()} == {"audio": 12, "text": 23, "share": 23}


@pytest.mark.parametrize(
    ("option", "value"), [("past", 0), ("future", -1), ("single_weight", -1.0), ("share_weight", -0.5)]
)
def test_impossible_options_are_refused(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{option} must be"):
        GraphCFCConfig(**{option: value})
