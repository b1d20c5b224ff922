"""SDT reproduces the recorded outputs and losses of the original, in float64 to 1e-6."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from dclf.config import LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.losses.terms import Term
from dclf.models.encoders import ModalityEncoders
from dclf.models.framework import DCLF
from dclf.models.positions import positional_table
from dclf.models.sdt import SDT, Block, SDTConfig
from dclf.testing.batches import INFO, SPEAKERS, random_rows
from tests.dclf.models.golden import Golden, load, logits_of

MODALITIES = ("text", "visual", "audio")
ENCODER = {"text": "textf_input", "audio": "acouf_input", "visual": "visuf_input"}
PAIRS = [(k, q) for k in MODALITIES for q in MODALITIES]


@pytest.fixture(scope="module")
def golden() -> Golden:
    return Golden("sdt")


@pytest.fixture(scope="module")
def model(golden: Golden) -> SDT:
    config = SDTConfig(width=24, heads=4, inner_width=24, temperature=8.0)
    network = SDT(MODALITIES, 2, False, config).double().eval()
    state = {"speakers.weight": golden.weight("speaker_embeddings.weight")[:2]}
    state["fusion.weight"] = golden.weight("last_gate.fc.weight")
    for q in MODALITIES:
        name = f"features_reduce_{q[0]}"
        state |= {f"reducers.{q}.{part}": golden.weight(f"{name}.{part}") for part in ("weight", "bias")}
        for k in MODALITIES:
            state |= {f"blocks.{k}_{q}.{name}": x for name, x in block_state(golden, f"{k[0]}_{q[0]}").items()}
    network.load_state_dict(state)
    return network


def block_state(golden: Golden, pair: str) -> dict[str, Tensor]:
    recorded = f"{pair}.transformer_inter.0"
    layers = {
        "attention.query": "self_attn.linear_q",
        "attention.value": "self_attn.linear_v",
        "attention.output": "self_attn.linear",
        "norm": "feed_forward.layer_norm",
        "inner": "feed_forward.w_1",
        "outer": "feed_forward.w_2",
    }
    parts = [(ours, theirs, part) for ours, theirs in layers.items() for part in ("weight", "bias")]
    state = {f"{ours}.{part}": golden.weight(f"{recorded}.{theirs}.{part}") for ours, theirs, part in parts}
    state["attention.key.weight"] = golden.weight(f"{recorded}.self_attn.linear_k.weight")
    return state | {"gate.weight": golden.weight(f"{pair}_gate.fc.weight")}


@pytest.fixture(scope="module")
def encoded(golden: Golden) -> dict[str, Tensor]:
    encoders = ModalityEncoders({m: golden[m].shape[-1] for m in MODALITIES}, 24).double()
    for modality, name in ENCODER.items():
        weight = golden.weight(f"{name}.weight")[:, :, 0]
        encoders.layers[modality].load_state_dict({"weight": weight, "bias": torch.zeros(24)})
    rows: dict[str, Tensor] = encoders(golden.features)
    return rows


def check(rows: Tensor, golden: Golden, key: str) -> None:
    assert_close(rows, golden.rows(f"expected/{key}"), atol=1e-6, rtol=0)


def test_hidden_and_logits(golden: Golden, model: SDT, encoded: dict[str, Tensor]) -> None:
    for modality in MODALITIES:
        check(encoded[modality], golden, f"encoded_{modality}")
    output = model(encoded, golden.rows("speakers"), golden.layout)
    for modality in MODALITIES:
        check(output.auxiliary[f"reduced_{modality}"], golden, f"reduced_{modality}")
    check(output.hidden, golden, "hidden")
    logits = logits_of(golden, model, "all_output_layer", output.hidden)
    check(logits, golden, "logits")
    check(logits.log_softmax(-1), golden, "log_prob")


@pytest.mark.parametrize(("k", "q"), PAIRS)
def test_each_block(golden: Golden, model: SDT, encoded: dict[str, Tensor], k: str, q: str) -> None:
    block, pair = model.get_submodule(f"blocks.{k}_{q}"), f"{k[0]}_{q[0]}"
    assert isinstance(block, Block)
    table = positional_table(9, 24).double()
    assert_close(table, golden["positional"], atol=1e-6, rtol=0)
    added = table[golden.layout.time] + model.speakers(golden.rows("speakers"))
    asking, answering = encoded[q] + added, encoded[k] + added
    attended = block.attention(asking, answering, golden.layout)
    check(attended, golden, f"attended_{pair}")
    check(block.transformed(asking, attended), golden, f"transformer_{pair}")
    check(block(asking, answering, golden.layout), golden, f"gated_{pair}")


def own_terms(golden: Golden, model: SDT, encoded: dict[str, Tensor], logits: Tensor) -> dict[str, Term]:
    """Those of the recorded heads and logits, in evaluation."""
    weights, labels = golden["class_weights"], golden.rows("labels")
    auxiliary = model.auxiliary(tuple("abcdef"))
    assert auxiliary is not None
    auxiliary.double().eval()
    for modality in MODALITIES:
        load(auxiliary.get_submodule(f"heads.{modality}.2"), golden, f"{modality[0]}_output_layer.2")

    def weighted(logits: Tensor, labels: Tensor) -> Term:
        return Term(functional.cross_entropy(logits, labels, weights, reduction="sum"), weights[labels].sum())

    output = model(encoded, golden.rows("speakers"), golden.layout)
    positions, names = torch.full_like(labels, -1), ("a", "b", "c")
    batch = Batch(golden.layout, golden.features, golden.rows("speakers"), labels, positions, names)
    return dict(auxiliary(output, logits, batch, weighted))


def test_its_own_terms(golden: Golden, model: SDT, encoded: dict[str, Tensor]) -> None:
    """With the authors' class weights; in float64 but for the distillation, which is computed in float32."""
    terms = own_terms(golden, model, encoded, golden.rows("expected/logits"))
    for name, key in {"modality": "loss_modalities", "distillation": "loss_distillation"}.items():
        mean = (terms[name].total / terms[name].count).double()
        assert_close(mean, golden[f"expected/{key}"].sum(), atol=1e-6, rtol=0)
    whole = golden["expected/loss_fused"] + sum(term.total / term.count for term in terms.values())
    assert_close(whole, golden["expected/loss"], atol=1e-6, rtol=0)


def test_the_teacher_is_not_taught(golden: Golden, model: SDT, encoded: dict[str, Tensor]) -> None:
    logits = golden.rows("expected/logits").requires_grad_()
    own_terms(golden, model, encoded, logits)["distillation"].total.backward()
    assert logits.grad is None


@pytest.mark.parametrize("weights", [(0.0, 0.0), (1.0, 0.0), (0.0, 2.0)])
def test_a_weight_of_zero_switches_a_term_off(weights: tuple[float, float]) -> None:
    options = {"width": 8, "heads": 2, "modality_weight": weights[0], "distillation_weight": weights[1]}
    model = DCLF(INFO, MODALITIES, ModelConfig(name="sdt", options=options), LossConfig(ablate="base"))
    output = model.double()(*random_rows())
    positive_weights = {
        name: weight for name, weight in zip(("modality", "distillation"), weights, strict=True) if weight
    }
    if not positive_weights:
        assert model.auxiliary is None
        assert not output.base.auxiliary
    else:
        assert model.auxiliary is not None
        assert model.auxiliary.weights == positive_weights
        assert set(output.base.auxiliary) == {f"reduced_{m}" for m in MODALITIES}


def test_a_term_that_is_off_is_not_computed() -> None:
    options = {"width": 8, "heads": 2, "modality_weight": 0.0}
    model = DCLF(INFO, MODALITIES, ModelConfig(name="sdt", options=options), LossConfig(ablate="base"))
    features, speakers, layout = random_rows()
    output = model.double()(features, speakers, layout)
    labels = torch.zeros_like(speakers)
    batch = Batch(layout, features, speakers, labels, torch.full_like(labels, -1), ("a", "b", "c", "d"))

    def no_term(logits: Tensor, labels: Tensor) -> Term:
        raise AssertionError("the term modality is off")

    assert model.auxiliary is not None
    assert set(model.auxiliary(output.base, output.logits, batch, no_term)) == {"distillation"}


def test_the_identity_gate_has_no_weights() -> None:
    torch.manual_seed(1)
    configs = [SDTConfig(width=8, heads=2, gates=gates) for gates in ("learned", "identity")]
    learned, identity = (SDT(("text",), SPEAKERS, True, config).eval() for config in configs)
    assert not [name for name, _ in identity.named_parameters() if "gate" in name]
    identity.load_state_dict({name: x for name, x in learned.state_dict().items() if "gate" not in name})
    learned.get_submodule("blocks.text_text.gate").load_state_dict({"weight": torch.eye(8)})
    features, speakers, layout = random_rows()
    rows = {"text": features["text"][:, :8].float()}
    assert_close(learned(rows, speakers, layout).hidden, identity(rows, speakers, layout).hidden)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 9, "heads": 3}, "width must be even"),
        ({"width": 10, "heads": 4}, "width must be a multiple of heads, 4, is 10"),
        ({"gates": "open"}, "gates must be learned or identity, is 'open'"),
        ({"modality_weight": -1.0}, "modality_weight must be 0 or more, is -1.0"),
        ({"distillation_weight": float("nan")}, "distillation_weight must be 0 or more"),
        ({"temperature": 0.0}, "temperature must be above 0, is 0.0"),
    ],
)
def test_impossible_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SDTConfig(**options)  # type: ignore[arg-type]
