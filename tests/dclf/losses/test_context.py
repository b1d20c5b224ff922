"""L_CA against loops over eq. 7-10, and its behaviour at the edges."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dclf.losses import context_contrastive_loss, context_terms
from dclf.losses.terms import Denominator
from tests.dclf.losses import oracles

DENOMINATORS = get_args(Denominator)


def case(
    n: int, p: int, q: int, d: int, seed: int, share: float = 0.7, zeros: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        rows = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return rows * (torch.rand(*shape[:-1], 1, generator=generator) > 0.3) if zeros else rows

    masks = [torch.rand(n, k, generator=generator) < share for k in (p, q)]
    return normal(n, d), normal(n, p, d), normal(n, q, d), masks[0], masks[1]


@given(
    shape=st.tuples(st.integers(0, 6), st.integers(0, 5), st.integers(0, 5), st.integers(1, 8)),
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    zeros=st.booleans(),
    temperature=st.floats(0.02, 5.0),
    denominator=st.sampled_from(DENOMINATORS),
)
def test_equals_the_papers_formula(
    shape: tuple[int, int, int, int], seed: int, share: float, zeros: bool, temperature: float, denominator: str
) -> None:
    inputs = case(*shape, seed, share, zeros)
    loss = context_contrastive_loss(*inputs, temperature, denominator)
    assert loss.item() == pytest.approx(oracles.context_loss(*inputs, temperature, denominator), abs=1e-10, rel=1e-10)


def test_the_default_denominator_is_eq_10_to_the_letter() -> None:
    inputs = case(4, 3, 3, 5, 0)
    assert context_contrastive_loss(*inputs, 0.1) == context_contrastive_loss(*inputs, 0.1, "negatives")
    assert context_contrastive_loss(*inputs, 0.1) != context_contrastive_loss(*inputs, 0.1, "all")


def test_a_case_by_hand() -> None:
    x, y = [1.0, 0.0], [0.0, 2.0]
    inputs = [torch.tensor(v) for v in ([x], [[x, y]], [[y]])]
    masks = torch.tensor([[True, True]]), torch.tensor([[True]])
    # Positives e^(1 / 0.5) + e^0, the negative e^0.
    above = math.exp(2) + 1
    assert context_contrastive_loss(*inputs, *masks, 0.5).item() == pytest.approx(-math.log(above / 2))
    assert context_contrastive_loss(*inputs, *masks, 0.5, "all").item() == pytest.approx(
        -math.log(above / (above + 1) / 2)
    )


@pytest.mark.parametrize("denominator", DENOMINATORS)
@pytest.mark.parametrize("share", [0.6, 0.2])
def test_gradients(denominator: str, share: float) -> None:
    anchor, positives, negatives, *masks = case(5, 3, 4, 3, 1, share)
    inputs = [v.requires_grad_() for v in (anchor, positives, negatives)]
    assert torch.autograd.gradcheck(lambda *v: context_contrastive_loss(*v, *masks, 0.3, denominator), inputs)


@pytest.mark.parametrize("denominator", DENOMINATORS)
@pytest.mark.parametrize("vectors", ["identical", "zero", "opposite", "random", "tiny", "huge"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_finite_at_a_low_temperature(denominator: str, vectors: str, dtype: torch.dtype) -> None:
    anchor, positives, negatives, *masks = case(6, 4, 4, 7, 2)
    scale = {"identical": (1, 1), "zero": (0, 0), "opposite": (1, -1), "tiny": (1e-30, 1e-30), "huge": (1e30, 1e30)}
    if vectors != "random":
        p, q = scale[vectors]
        positives, negatives = anchor[:, None] * p + positives * 0, anchor[:, None] * q + negatives * 0
        anchor = anchor * p
    inputs = [v.to(dtype).requires_grad_() for v in (anchor, positives, negatives)]
    loss = context_contrastive_loss(*inputs, *masks, 0.01, denominator)
    loss.backward()
    assert loss.isfinite()
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert all(v.grad is not None and v.grad.isfinite().all() for v in inputs)


@pytest.mark.parametrize("empty", ["positives", "negatives", "both", "no anchors"])
@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_no_counted_anchor_gives_a_zero_with_a_zero_gradient(empty: str, denominator: str) -> None:
    anchor, positives, negatives, positive_mask, negative_mask = case(
        0 if empty == "no anchors" else 3, 2, 2, 4, 3, 1.0
    )
    positive_mask &= empty not in ("positives", "both")
    negative_mask &= empty not in ("negatives", "both")
    inputs = [v.requires_grad_() for v in (anchor, positives, negatives)]
    loss = context_contrastive_loss(*inputs, positive_mask, negative_mask, 0.07, denominator)
    loss.backward()
    assert loss.item() == 0
    assert all(v.grad is not None and not v.grad.any() for v in inputs)


def test_masked_pairs_and_uncounted_anchors_do_not_matter() -> None:
    anchor, positives, negatives, positive_mask, negative_mask = case(6, 3, 3, 4, 5, 0.5)
    loss = context_contrastive_loss(anchor, positives, negatives, positive_mask, negative_mask, 0.1)
    noise = torch.randn_like(positives)
    changed = (
        torch.where(positive_mask[..., None], positives, noise),
        torch.where(negative_mask[..., None], negatives, noise),
    )
    assert context_contrastive_loss(anchor, *changed, positive_mask, negative_mask, 0.1) == loss
    keep = positive_mask.any(1) & negative_mask.any(1)
    assert 0 < keep.sum() < 6
    inputs = [v[keep] for v in (anchor, positives, negatives, positive_mask, negative_mask)]
    assert context_contrastive_loss(*inputs, 0.1).item() == pytest.approx(loss.item(), abs=1e-12)


def test_terms_of_parts_add_up_to_the_mean_over_all() -> None:
    inputs = case(9, 3, 3, 4, 6, 0.5)
    whole = context_contrastive_loss(*inputs, 0.1, "all")
    total, count = 0.0, 0
    for part in (slice(0, 2), slice(2, 9)):
        anchor, positives, negatives, *masks = (v[part] for v in inputs)
        cosines = [torch.cosine_similarity(anchor[:, None], g, dim=2) for g in (positives, negatives)]
        terms = context_terms(*cosines, *masks, 0.1, "all")
        assert not terms.values[~terms.counted].any()
        total, count = total + terms.values.sum().item(), count + int(terms.counted.sum())
    assert total / count == pytest.approx(whole.item(), abs=1e-12)


def test_autocast_does_not_lower_the_precision() -> None:
    anchor, positives, negatives, *masks = case(5, 3, 3, 8, 7)
    inputs = [v.float() for v in (anchor, positives, negatives)]
    expected = context_contrastive_loss(*inputs, *masks, 0.01)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(context_contrastive_loss(*inputs, *masks, 0.01), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.0}, "temperature must be finite and above 0, is 0.0"),
        ({"temperature": float("nan")}, "is nan"),
        ({"denominator": "positives"}, "one of negatives, all, khosla, is 'positives'"),
        ({"anchor": torch.ones(2)}, r"anchor must be \[N, d\]"),
        ({"positives": torch.ones(2, 3, 5)}, r"positives must be \[2, K, 4\]"),
        ({"negatives": torch.ones(3, 3, 4)}, r"negatives must be \[2, K, 4\]"),
        ({"positive_mask": torch.ones(2, 3)}, "positive_mask must be bool"),
        ({"negative_mask": torch.ones(2, 2, dtype=torch.bool)}, r"negative_mask must be bool of shape \(2, 3\)"),
    ],
)
def test_impossible_input_is_refused(change: dict[str, object], message: str) -> None:
    mask = torch.ones(2, 3, dtype=torch.bool)
    arguments = {
        "anchor": torch.ones(2, 4),
        "positives": torch.ones(2, 3, 4),
        "negatives": torch.ones(2, 3, 4),
        "positive_mask": mask,
        "negative_mask": mask,
        "temperature": 0.07,
    }
    with pytest.raises(ValueError, match=message):
        context_contrastive_loss(**{**arguments, **change})


def test_terms_refuse_different_anchors() -> None:
    cosines, masks = (torch.ones(2, 3), torch.ones(3, 3)), (torch.ones(2, 3) > 0, torch.ones(3, 3) > 0)
    with pytest.raises(ValueError, match="share their anchors, have 2 and 3"):
        context_terms(*cosines, *masks, 0.07)
