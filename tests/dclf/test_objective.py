import pytest
import torch
from torch.nn import functional

from dclf.config import LossConfig
from dclf.losses import Term
from dclf.objective import NonFiniteLossError, Objective, balanced_class_weights, check_finite


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
