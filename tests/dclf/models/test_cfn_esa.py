"""CFN-ESA reproduces the recorded outputs and losses of the original, in float64 to 1e-6."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from dclf.config import LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.losses.terms import Term
from dclf.models.attention import DialogueAttention
from dclf.models.cfn_esa import CFNESA, CFNESAConfig, RecurrentLayer
from dclf.models.contract import BaseOutput
from dclf.models.cross_modal import CrossModalLayer, ModalityPart
from dclf.models.dialogue_gru import DialogueGRU
from dclf.models.emotion_shift import EmotionShift
from dclf.models.encoders import ModalityEncoders
from dclf.models.framework import DCLF
from dclf.testing.batches import INFO, random_rows
from tests.dclf.models.golden import Golden, encoders, load, load_gru, logits_of

MODALITIES = ("text", "visual", "audio")
OPTIONS = {"width": 16, "heads": 2, "cross_layers": 3, "shift_width": 10}
ATTENTIONS = {
    "text_text": "self_att_t",
    "visual_visual": "self_att_v",
    "audio_audio": "self_att_a",
    "text_visual": "cross_att_tv",
    "text_audio": "cross_att_ta",
    "visual_text": "cross_att_v",
    "audio_text": "cross_att_a",
}


@pytest.fixture(scope="module")
def golden() -> Golden:
    return Golden("cfn_esa")


@pytest.fixture(scope="module")
def model(golden: Golden) -> CFNESA:
    network = CFNESA(MODALITIES, 2, False, CFNESAConfig(**OPTIONS)).double().eval()
    for number, layer in enumerate(network.recurrent):
        assert isinstance(layer, RecurrentLayer)
        load_recurrent(layer, golden, f"rume.layers.{number}")
    for number, layer in enumerate(network.cross):
        assert isinstance(layer, CrossModalLayer)
        load_cross(layer, golden, f"acme.layers.{number}")
    load(network.joined, golden, "linear_cat")
    return network


def load_recurrent(layer: RecurrentLayer, golden: Golden, name: str) -> None:
    assert isinstance(layer.gru, DialogueGRU)
    load_gru(layer.gru, golden, f"{name}.rnn")
    parts = {"narrow": "linear_rnn", "norm": "norm_rnn", "inner": "fc", "outer": "fc1", "last_norm": "norm_fc"}
    for ours, theirs in parts.items():
        load(layer.get_submodule(ours), golden, f"{name}.{theirs}")


def load_cross(layer: CrossModalLayer, golden: Golden, name: str) -> None:
    for ours, theirs in ATTENTIONS.items():
        attention = layer.attentions[ours]
        assert isinstance(attention, DialogueAttention)
        load_attention(attention, golden, f"{name}.{theirs}")
    assert layer.joined is not None
    load(layer.joined, golden, f"{name}.linear_cat")
    for modality, part in layer.parts.items():
        parts = {"own_norm": "norm_{}", "cross_norm": "norm_{}1", "last_norm": "norm_{}2"}
        for ours, theirs in {**parts, "inner": "fc_{}", "outer": "fc_{}1"}.items():
            load(part.get_submodule(ours), golden, f"{name}.{theirs.format(modality[0])}")


def load_attention(attention: DialogueAttention, golden: Golden, name: str) -> None:
    weights = golden.weight(f"{name}.in_proj_weight").chunk(3)
    biases = golden.weight(f"{name}.in_proj_bias").chunk(3)
    attention.query.load_state_dict({"weight": weights[0], "bias": biases[0]})
    attention.key.load_state_dict({"weight": weights[1]})
    attention.value.load_state_dict({"weight": weights[2], "bias": biases[2]})
    load(attention.output, golden, f"{name}.out_proj")


@pytest.fixture(scope="module")
def encode(golden: Golden) -> ModalityEncoders:
    return encoders(golden, {m: f"linear_{m[0]}" for m in MODALITIES}, 16)


def check(rows: Tensor, golden: Golden, key: str) -> None:
    assert_close(rows, golden.rows(f"expected/{key}"), atol=1e-6, rtol=0)


def checked(golden: Golden, key: str, number: int) -> Tensor:
    """The recorded rows of one layer."""
    return golden.layout.pack(golden[f"expected/{key}"][:, number])


def output_of(golden: Golden, model: CFNESA, encode: ModalityEncoders) -> BaseOutput:
    output: BaseOutput = model(encode(golden.features), golden.rows("speakers"), golden.layout)
    return output


def test_hidden_and_logits(golden: Golden, model: CFNESA, encode: ModalityEncoders) -> None:
    for modality, rows in encode(golden.features).items():
        check(rows, golden, f"encoded_{modality}")
    output = output_of(golden, model, encode)
    check(output.hidden, golden, "hidden")
    assert output.auxiliary["again"] is output.hidden
    logits = logits_of(golden, model, "smax_fc", output.hidden)
    check(logits, golden, "logits")
    check(logits.log_softmax(-1), golden, "log_prob")


def test_each_layer(golden: Golden, model: CFNESA, encode: ModalityEncoders) -> None:
    rows: Mapping[str, Tensor] = encode(golden.features)
    for number, layer in enumerate(model.recurrent):
        rows = {m: layer(x, golden.layout) for m, x in rows.items()}
        for modality in MODALITIES:
            assert_close(rows[modality], checked(golden, f"rume_{modality}", number), atol=1e-6, rtol=0)
    for number, layer in enumerate(model.cross):
        rows = layer(rows, golden.layout)
        for modality in MODALITIES:
            assert_close(rows[modality], checked(golden, f"layer_{modality}", number), atol=1e-6, rtol=0)


@pytest.mark.parametrize("meld", [False, True])
def test_the_shift_term(golden: Golden, model: CFNESA, encode: ModalityEncoders, meld: bool) -> None:
    output, labels = output_of(golden, model, encode), golden.rows("labels")
    shift = shift_of(golden, CFNESAConfig(**OPTIONS, shift_share=0.5047 if meld else 0.4364))
    for dialogue, (first, second) in enumerate(halves(golden, shift, output)):
        n = len(first)
        shift_logits = golden["expected/shift_logits"][dialogue, :n, :n]
        assert_close(shift.scores(first, second), shift_logits, atol=1e-6, rtol=0)
    key = "_meld" if meld else ""
    assert_close(shift.get_buffer("pair_weights").double(), golden[f"shift_weights{key}"], atol=1e-6, rtol=0)
    positions, names = torch.full_like(labels, -1), ("a", "b", "c")
    batch = Batch(golden.layout, golden.features, golden.rows("speakers"), labels, positions, names)
    logits = golden.rows("expected/logits")
    term = shift(output, logits, batch, lambda *_: Term(logits.sum(), logits.sum()))["shift"]
    mean = (term.total / term.count).double()
    assert_close(mean, golden[f"expected/loss_shift{key}"][0], atol=1e-6, rtol=0)
    if not meld:
        weights = golden["class_weights"]
        emotion = functional.cross_entropy(logits, labels, weights)
        assert_close(emotion + mean, golden["expected/loss"][0], atol=1e-6, rtol=0)


def shift_of(golden: Golden, config: CFNESAConfig) -> EmotionShift:
    """The recorded head; its first layer is a sum of two halves here."""
    head = CFNESA(MODALITIES, 2, False, config).auxiliary(())
    assert isinstance(head, EmotionShift)
    head.double().eval()
    first, second = golden.weight("emotion_shift.fc.0.weight").chunk(2, 1)
    head.first.load_state_dict({"weight": first, "bias": golden.weight("emotion_shift.fc.0.bias")})
    head.second.load_state_dict({"weight": second})
    load(head.output, golden, "emotion_shift.classify.0")
    return head


def halves(golden: Golden, shift: EmotionShift, output: BaseOutput) -> list[tuple[Tensor, Tensor]]:
    first, second = (rows.split(golden.layout.lengths) for rows in shift.halves(output))
    return list(zip(first, second, strict=True))


def small(**options: float) -> tuple[DCLF, tuple[dict[str, Tensor], Tensor, object]]:
    torch.manual_seed(0)
    whole = {**OPTIONS, "recurrent_dropout": 0.0, "shift_dropout": 0.0, **options}
    loss = LossConfig(ablate="base")
    return DCLF(INFO, MODALITIES, ModelConfig(name="cfn_esa", options=whole), loss).double(), random_rows()


def test_the_second_pass_differs_by_dropout_and_is_made_in_training_alone() -> None:
    model, rows = small(dropout=0.3)
    base = model(*rows).base
    assert not torch.allclose(base.auxiliary["again"], base.hidden)
    base = model.eval()(*rows).base
    assert base.auxiliary["again"] is base.hidden


def test_without_weight_there_is_no_shift_head() -> None:
    model, rows = small(shift_weight=0.0)
    assert model.auxiliary is None
    assert not model(*rows).base.auxiliary


def test_what_is_computed_again_has_the_same_gradients() -> None:
    """And the same dropout."""
    gradients = []
    for recompute in (True, False):
        model, rows = small(dropout=0.3, recompute=recompute)
        torch.manual_seed(5)
        base = model(*rows).base
        loss = base.hidden.square().sum() + base.auxiliary["again"].sum()
        gradients.append(torch.autograd.grad(loss, list(model.base.parameters())))
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.equal(ours, theirs)


def test_two_passes_side_by_side_are_twice_the_same_without_dropout() -> None:
    torch.manual_seed(0)
    layer = CrossModalLayer(MODALITIES, 4, 2, causal=False, dropout=0.0).double()
    layout = Layout.of([3, 1, 2])
    rows = {m: torch.randn(6, 4, dtype=torch.float64) for m in MODALITIES}
    once, twice = layer(rows, layout), layer(rows, layout, 2)
    for modality in MODALITIES:
        assert_close(twice[modality], once[modality].repeat(2, 1))


def test_a_modality_alone_is_its_own_part() -> None:
    part: nn.Module = CrossModalLayer(("audio",), 4, 2, causal=True, dropout=0.0).double().parts["audio"]
    assert isinstance(part, ModalityPart)
    x, own, none = torch.randn(3, 3, 4, dtype=torch.float64)
    assert_close(part.cross(x, own, None), part.cross(x, own, torch.zeros_like(none)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 9, "heads": 2}, "width must be a multiple of heads, 2, is 9"),
        ({"shift_weight": -0.5}, "shift_weight must be 0 or more, is -0.5"),
        ({"shift_share": 1.0}, r"shift_share must be in \(0, 1\), is 1.0"),
        ({"recompute": 2}, "recompute must be true or false, is 2"),
        ({"recurrent_dropout": 1.0}, r"recurrent_dropout must be a number in \[0, 1\), is 1.0"),
    ],
)
def test_impossible_options_are_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CFNESAConfig(**options)  # type: ignore[arg-type]
