"""L_MC against loops over Algorithm 1, its gradient, and its behaviour at the edges."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dclf.losses import modality, modality_contribution_loss, modality_terms
from dclf.losses.terms import Denominator
from tests.dclf.losses import oracles


def case(n: int, d: int, seed: int, share: float = 0.5, zeros: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, d, generator=generator, dtype=torch.float64)
    if zeros:
        features *= torch.rand(n, 1, generator=generator) > 0.3
    return features, torch.rand(n, generator=generator) < share


@given(
    st.integers(0, 9),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    st.booleans(),
    st.floats(0.02, 5.0),
    st.sampled_from(get_args(Denominator)),
)
def test_equals_algorithm_1(
    n: int, widths: list[int], seed: int, share: float, zeros: bool, temperature: float, denominator: Denominator
) -> None:
    names = ("text", "audio", "visual")[: len(widths)]
    cases = [case(n, d, seed + k, share, zeros) for k, d in enumerate(widths)]
    features = {m: u for m, (u, _) in zip(names, cases, strict=True)}
    correct = {m: p for m, (_, p) in zip(names, cases, strict=True)}
    loss = modality_contribution_loss(features, correct, temperature, denominator)
    expected = oracles.modality_loss(features, correct, temperature, denominator)
    assert loss.item() == pytest.approx(expected, abs=1e-10, rel=1e-10)


def test_a_case_by_hand() -> None:
    u = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    terms = modality_terms(u, torch.tensor([True, True, False]), 0.5)
    # Anchors 0 and 1: the positive e^(1 / 0.5), the negative e^0. Anchor 2 has no positive.
    assert terms.counted.tolist() == [True, True, False]
    assert terms.values.tolist() == pytest.approx([-2.0, -2.0, 0.0], abs=1e-12)


@pytest.fixture(params=["one part", "many parts"])
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "many parts":
        monkeypatch.setattr(modality, "_CHUNK_SCORES", 30)
    return str(request.param)


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("denominator", get_args(Denominator))
def test_gradients(parts: str, share: float, seed: int, denominator: Denominator) -> None:
    features, correct = case(10, 4, seed, share)
    features.requires_grad_()
    assert torch.autograd.gradcheck(lambda u: modality_terms(u, correct, 0.2, denominator).values, features)


def test_a_lone_anchor_of_its_label_is_still_a_negative_of_the_others(parts: str) -> None:
    features, _ = case(11, 4, 0)
    correct = torch.zeros(11, dtype=torch.bool)
    correct[4] = True
    features.requires_grad_()
    terms = modality_terms(features, correct, 0.2)
    assert terms.counted.tolist() == (~correct).tolist()
    terms.mean().backward()
    assert features.grad is not None
    assert features.grad[4].abs().max() > 1e-4
    assert torch.autograd.gradcheck(lambda u: modality_terms(u, correct, 0.2).mean(), features)


def test_parts_of_rows_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for scores in (1 << 22, 100, 1):
        monkeypatch.setattr(modality, "_CHUNK_SCORES", scores)
        features, correct = case(37, 5, 8)
        terms = modality_terms(features.requires_grad_(), correct, 0.07)
        terms.mean().backward()
        assert features.grad is not None
        results.append((terms.values.detach(), features.grad))
    for values, grad in results[1:]:
        torch.testing.assert_close(values, results[0][0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(grad, results[0][1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.01, 0.07, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("vectors", ["identical", "zero", "some zero", "opposite", "random", "tiny", "huge"])
def test_finite_at_every_temperature(temperature: float, dtype: torch.dtype, vectors: str) -> None:
    features, correct = case(12, 5, 4)
    signs = correct.double()[:, None] * 2 - 1
    features = {
        "identical": features[:1].expand_as(features),
        "zero": features * 0,
        "some zero": features * (torch.arange(12) % 3 > 0)[:, None],
        "opposite": features[:1] * signs,
        "random": features,
        "tiny": features * 1e-30,
        "huge": features * 1e30,
    }[vectors]
    features = features.to(dtype).detach().requires_grad_()
    loss = modality_contribution_loss({"text": features}, {"text": correct}, temperature)
    loss.backward()
    assert loss.isfinite()
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_float32_keeps_sums_that_would_underflow() -> None:
    # Two opposite clusters at tau = 0.01: every F- is e^-100 / 1, whose float32 is zero without the logarithm.
    correct = torch.tensor([True, True, False, False])
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    loss = modality_contribution_loss({"text": features}, {"text": correct}, 0.01)
    assert loss.item() == pytest.approx(-200 + math.log(2), rel=1e-6)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_pseudo_label_gives_a_zero_with_a_zero_gradient(share: float) -> None:
    features, _ = case(5, 3, 0)
    features.requires_grad_()
    loss = modality_contribution_loss({"text": features}, {"text": torch.full((5,), share > 0)}, 0.07)
    loss.backward()
    assert loss.item() == 0
    assert features.grad is not None
    assert not features.grad.any()


@given(st.permutations(range(9)), st.integers(0, 100))
def test_the_order_of_utterances_does_not_matter(order: list[int], seed: int) -> None:
    features, correct = case(9, 4, seed)
    terms = modality_terms(features, correct, 0.07)
    shuffled = modality_terms(features[order], correct[order], 0.07)
    assert torch.equal(shuffled.counted, terms.counted[order])
    torch.testing.assert_close(shuffled.values, terms.values[order], rtol=1e-12, atol=1e-12)


def test_autocast_does_not_lower_the_precision() -> None:
    features, correct = case(20, 6, 1)
    plain = features.float().requires_grad_()
    mixed = features.float().requires_grad_()
    modality_terms(plain, correct, 0.01).mean().backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = modality_terms(mixed, correct, 0.01)
        terms.mean().backward()
    assert terms.values.dtype == torch.float32
    assert plain.grad is not None
    assert mixed.grad is not None
    assert torch.equal(plain.grad, mixed.grad)


@pytest.mark.parametrize(
    ("features", "correct", "temperature", "message"),
    [
        ({}, {}, 0.07, "at least one"),
        ({"text": torch.ones(2, 3)}, {"audio": torch.ones(2) > 0}, 0.07, r"have \['text'\] and \['audio'\]"),
        ({"text": torch.ones(2, 3)}, {"text": torch.ones(3) > 0}, 0.07, r"are \(2, 3\) and torch.bool \(3,\)"),
        ({"text": torch.ones(2, 3)}, {"text": torch.ones(2)}, 0.07, "correct bool"),
        ({"text": torch.ones(2, 3)}, {"text": torch.ones(2) > 0}, -1.0, "above 0, is -1.0"),
    ],
)
def test_impossible_input_is_refused(
    features: dict[str, Tensor], correct: dict[str, Tensor], temperature: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        modality_contribution_loss(features, correct, temperature)
