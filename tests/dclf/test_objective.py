import math

import pytest
import torch
from torch.nn import functional

from dclf.config import LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.data.dialogue import DatasetInfo
from dclf.layout import Layout
from dclf.losses import Term
from dclf.losses.own_terms import require_term
from dclf.models.framework import DCLF
from dclf.objective import (
    NonFiniteLossError,
    Objective,
    balanced_class_weights,
    check_finite,
    focal_cross_entropy,
)


def term(total: float, count: float) -> Term:
    return Term(torch.tensor(total, requires_grad=True), torch.tensor(count))


def test_weights_are_those_of_eq_11() -> None:
    loss = LossConfig(gamma_ca=0.6, gamma_mc=0.3, unimodal_weight=0.5)
    assert Objective(loss, ["text", "audio"]).weights == {
        "ce": 1.0,
        "ca": 0.6,
        "unimodal/text": 0.5,
        "mc/text": 0.3,
        "unimodal/audio": 0.5,
        "mc/audio": 0.3,
    }
    assert Objective(LossConfig(ablate="base"), ["text"]).weights == {"ce": 1.0}


def test_the_total_weighs_means_not_sums() -> None:
    objective = Objective(LossConfig(gamma_ca=0.5, ablate="no_mccl"), ["text"])
    terms = {"ce": term(6.0, 3.0), "ca": term(8.0, 2.0)}
    total = objective.mean(terms, {"ce": 6.0, "ca": 2.0})
    assert total.item() == pytest.approx(6 / 6 + 0.5 * 8 / 2)
    assert objective.summary({"ce": 6.0, "ca": 8.0}, {"ce": 6.0, "ca": 2.0}) == pytest.approx(
        {"total": 3.0, "ce": 1.0, "ca": 4.0}
    )


def test_a_term_that_nobody_counted_is_zero() -> None:
    objective = Objective(LossConfig(ablate="no_mccl"), ["text"])
    assert objective.mean({"ce": term(2.0, 1.0), "ca": term(0.0, 0.0)}, {"ce": 1.0, "ca": 0.0}).item() == 2.0
    assert objective.summary({"ce": 2.0, "ca": 0.0}, {"ce": 1.0, "ca": 0.0})["ca"] == 0.0


def half(_output: object, batch: Batch) -> Term:
    """Half a point for each label of 1 or more."""
    counted = batch.labels > 0
    return Term(0.5 * counted.sum(), counted.sum())


def test_a_term_of_another_package_has_its_weight_and_its_name() -> None:
    name = f"{__name__}:half"
    objective = Objective(LossConfig(ablate="base", terms={name: 0.5}), ["text"])
    assert objective.weights == {"ce": 1.0, name: 0.5}
    terms = {"ce": term(6.0, 3.0), name: term(3.0, 6.0)}
    assert objective.mean(terms, {"ce": 3.0, name: 6.0}).item() == pytest.approx(2 + 0.5 * 0.5)
    assert objective.summary({"ce": 6.0, name: 3.0}, {"ce": 3.0, name: 6.0}) == {"total": 2.25, "ce": 2.0, name: 0.5}


def test_its_sum_and_count_are_those_of_the_batch() -> None:
    name = f"{__name__}:half"
    info = DatasetInfo(dataset="x", class_names=("a", "b"), widths={"text": 3}, speaker_count=1)
    loss = LossConfig(ablate="base", terms={name: 0.5})
    model = DCLF(info, ("text",), ModelConfig(options={"hidden": 4, "node_width": 4}), loss)
    rows = torch.ones(3, 3)
    batch = Batch(
        layout=Layout.of([3]),
        features={"text": rows},
        speakers=torch.zeros(3, dtype=torch.int64),
        labels=torch.tensor([0, 1, 1]),
        positions=torch.arange(3),
        dialogue_ids=("d",),
    )
    output = model(batch.features, batch.speakers, batch.layout)
    terms = Objective(loss, ["text"]).terms(model, output, batch, None)
    assert (terms[name].total.item(), terms[name].count.item()) == (1.0, 2.0)


@pytest.mark.parametrize("result", [None, 0.5, Term(torch.ones(2), torch.tensor(2)), Term(1.0, 2)])  # type: ignore[arg-type]
def test_what_is_no_term_is_refused(result: object) -> None:
    with pytest.raises(TypeError, match="loss term focal must return a Term of two scalar tensors"):
        require_term("focal", result)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_the_term_that_is_not_finite_is_named(value: float) -> None:
    check_finite({"ce": 1.0, "ca": 2.0}, "in epoch 1, step 2")
    with pytest.raises(NonFiniteLossError, match=r"mc/audio must be finite, is not, in epoch 1, step 2"):
        check_finite({"ce": 1.0, "mc/audio": value}, "in epoch 1, step 2")


def test_balanced_weights_give_torchs_weighted_mean() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    weights = balanced_class_weights(labels, 3)
    assert weights.tolist() == pytest.approx([4 / 9, 4 / 3, 1.0])
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    objective = Objective(LossConfig(ablate="base"), ["text"], weights)
    ce = objective._cross_entropy(logits, labels)
    expected = functional.cross_entropy(logits, labels, weight=weights)
    assert (ce.total / ce.count).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.5])
def test_the_focal_loss_is_that_of_its_equation(gamma: float) -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels, weights = torch.tensor([0, 1, 2, 2, 1]), torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(value) for value in row)
        total -= weights[label].item() * (1 - p) ** gamma * math.log(p)
    assert focal_cross_entropy(logits, labels, gamma, weights).item() == pytest.approx(total)


def test_a_focal_exponent_of_zero_is_the_plain_cross_entropy() -> None:
    logits, labels = torch.randn(4, 3, generator=torch.Generator().manual_seed(2)), torch.tensor([0, 1, 2, 0])
    plain, focal = (
        Objective(LossConfig(ablate="base", focal_gamma=g), ["text"])._cross_entropy(logits, labels).total
        for g in (0.0, 1e-6)
    )
    assert focal.item() == pytest.approx(plain.item(), rel=1e-4)


def test_the_focal_loss_of_what_is_sure_and_right_has_a_finite_gradient() -> None:
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    focal_cross_entropy(logits, torch.tensor([0]), 0.5).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_the_terms_of_a_base_model_have_their_weights_and_names() -> None:
    objective = Objective(LossConfig(ablate="base"), ["text"], auxiliary={"shift": 0.5, "sentiment": 0.2})
    assert objective.weights == {"ce": 1.0, "auxiliary/shift": 0.5, "auxiliary/sentiment": 0.2}
    totals = {"ce": 6.0, "auxiliary/shift": 3.0, "auxiliary/sentiment": 0.0}
    assert objective.summary(totals, dict.fromkeys(totals, 3.0)) == pytest.approx(
        {"total": 2.5, "ce": 2.0, "auxiliary/shift": 1.0, "auxiliary/sentiment": 0.0}
    )
