"""The cosines of extracted pairs against eq. 6 and 7 written out, pair by pair."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dclf.losses import ContextContrast, contrast_head
from tests.dclf.losses.oracles import cosine


def case(n: int, k: int, u: int, s: int, c: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state, context, candidates = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((n, s), (n, c), (u, s))
    )
    return state, context, candidates, torch.randint(u, (n, k), generator=generator)


def head(s: int, c: int, projection: str, extraction: bool, seed: int = 0) -> ContextContrast:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ContextContrast(s, c, projection, extraction).double()


def by_the_formula(
    module: ContextContrast, state: Tensor, context: Tensor, candidates: Tensor, index: Tensor
) -> Tensor:
    """G(h_i, W_g [c_i, h_j] + b_g) in loops."""
    rows = []
    for i in range(len(state)):
        anchor = module.project(state[i])
        for j in index[i]:
            pair = candidates[j]
            if module.extract is not None:
                pair = module.extract.weight @ torch.cat([context[i], pair]) + module.extract.bias
            rows.append(cosine(anchor.detach(), module.project(pair).detach()))
    return torch.tensor(rows, dtype=torch.float64).reshape(index.shape)


@given(
    shape=st.tuples(*(st.integers(low, high) for low, high in ((0, 5), (1, 4), (1, 6), (1, 7), (1, 5)))),
    seed=st.integers(0, 2**32),
    projection=st.sampled_from(["none", "linear", "mlp"]),
    extraction=st.booleans(),
)
def test_equals_eq_6_and_7(shape: tuple[int, int, int, int, int], seed: int, projection: str, extraction: bool) -> None:
    inputs = case(*shape, seed)
    module = head(*shape[3:], projection, extraction, seed)
    with torch.no_grad():
        torch.testing.assert_close(module.cosines(*inputs), by_the_formula(module, *inputs), rtol=0, atol=1e-10)


@pytest.mark.parametrize("projection", ["none", "linear", "mlp"])
@pytest.mark.parametrize("extraction", [True, False])
def test_gradients(projection: str, extraction: bool) -> None:
    module = head(4, 3, projection, extraction)
    *states, index = case(5, 6, 7, 4, 3, 1)
    # A candidate that nobody is paired with, and one that an anchor is paired with twice.
    index[index == 6] = 0
    index[0, :2] = 1
    parameters = dict(module.named_parameters())

    def cosines(state: Tensor, context: Tensor, candidates: Tensor, *values: Tensor) -> Tensor:
        swapped = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(
            _Cosines(module), {f"module.{k}": v for k, v in swapped.items()}, (state, context, candidates, index)
        )

    assert torch.autograd.gradcheck(cosines, [*(v.requires_grad_() for v in states), *parameters.values()])


class _Cosines(torch.nn.Module):
    def __init__(self, module: ContextContrast) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.module.cosines(*inputs)


def test_detached_candidates_leave_gradients_to_all_the_rest() -> None:
    module = head(4, 3, "linear", True)
    state, context, candidates, index = case(5, 3, 6, 4, 3, 2)
    module.cosines(state.requires_grad_(), context.requires_grad_(), candidates, index).sum().backward()
    assert candidates.grad is None
    for tensor in (state, context, *module.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.any()


def test_without_extraction_the_context_plays_no_part() -> None:
    module = head(4, 3, "none", False)
    state, context, candidates, index = case(5, 3, 6, 4, 3, 2)
    assert not list(module.parameters())
    expected = module.cosines(state, context, candidates, index)
    assert torch.equal(module.cosines(state, context + 1, candidates, index), expected)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    module = head(6, 4, "none", True)
    inputs = case(17, 5, 9, 6, 4, 3)
    expected = module.cosines(*inputs)
    monkeypatch.setattr(contrast_head, "_CHUNK_NUMBERS", 70)
    monkeypatch.setattr(contrast_head, "_BLOCK_ROWS", 4)
    torch.testing.assert_close(module.cosines(*inputs), expected, rtol=0, atol=1e-14)


def test_opposite_parts_do_not_cancel_into_noise() -> None:
    """g = a + p with a and p large and nearly opposite: its direction lies in the small difference."""
    module = head(3, 3, "none", True)
    assert module.extract is not None
    with torch.no_grad():
        module.extract.weight.copy_(torch.cat([torch.eye(3), torch.eye(3)], dim=1))
        module.extract.bias.zero_()
        context = torch.tensor([[1e4, -1e4, 1e4]], dtype=torch.float64)
        small = torch.tensor([[1e-3, 2e-3, -1e-3]], dtype=torch.float64)
        anchor = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
        cosines = module.cosines(anchor, context, small - context, torch.tensor([[0]]))
    torch.testing.assert_close(cosines, torch.cosine_similarity(anchor, small)[:, None], rtol=0, atol=1e-8)


@pytest.mark.parametrize("zero", ["anchor", "pair", "both"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_zero_vectors_have_cosine_zero_and_finite_gradients(zero: str, dtype: torch.dtype) -> None:
    module = head(4, 3, "none", True).to(torch.float64 if dtype == torch.float64 else torch.float32)
    assert module.extract is not None
    torch.nn.init.zeros_(module.extract.bias)
    state, context, candidates, index = case(5, 3, 6, 4, 3, 2)
    if zero != "pair":
        state[2] = 0
    if zero != "anchor":
        context[2], candidates[index[2]] = 0, 0
    inputs = [v.to(dtype).requires_grad_() for v in (state, context, candidates)]
    cosines = module.cosines(*inputs, index)
    assert not cosines[2].any()
    cosines.sum().backward()
    assert all(v.grad is not None and v.grad.isfinite().all() for v in (*inputs, *module.parameters()))


def test_autocast_does_not_lower_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrast_head, "_BLOCK_ROWS", 4)
    module = head(8, 5, "linear", True).float()
    *states, index = case(6, 4, 9, 8, 5, 4)
    inputs = [v.float().requires_grad_() for v in states]
    expected = module.cosines(*inputs, index)
    # Of the candidates alone: their products with W_h and q are those in blocks.
    (gradient,) = torch.autograd.grad(expected.square().sum(), inputs[2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = module.cosines(*inputs, index)
        assert torch.equal(mixed, expected)
        assert torch.equal(torch.autograd.grad(mixed.square().sum(), inputs[2])[0], gradient)


def test_an_unknown_projection_is_refused() -> None:
    with pytest.raises(ValueError, match="one of none, linear, mlp, is 'cubic'"):
        ContextContrast(4, 3, "cubic")  # type: ignore[arg-type]
