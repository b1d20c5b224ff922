"""Contextual extraction (eq. 6) and the cosines of eq. 7 between anchors and extracted pairs.

    N   anchors            K   pairs per anchor, positives and negatives alike
    U   distinct candidate utterances among all pairs
    s   state width        c   context width

g_ij = W_g [c_i, h_j] + b_g with W_g = [W_c, W_h] splits into a_i + p_j, where a_i = W_c c_i + b_g belongs to the anchor
and p_j = W_h h_j to the candidate. Each candidate is mapped once, however many anchors it is paired with.

The projection head q stands on both sides, cos(q(h_i), q(g_ij)), as in SupCon: what the contrast wants of a state need
not all be wanted of the state itself. A linear q splits as W_g does; the first layer of an MLP too, its second reads
every pair.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, linear

from dclf.losses.cosine import SHORTEST, full_precision, unit, without_autocast

Projection = Literal["none", "linear", "mlp"]

_CHUNK_NUMBERS = 1 << 18
"""Most numbers of gathered candidates held at once: a chunk that stays in the cache is read twice for one load."""

_BLOCK_ROWS = 512
"""Most rows that one matrix product projects on a CPU: 9.3 ms instead of 12.8 for 4,000 rows of 300."""


class ContextContrast(nn.Module):
    """The learned part of the context-aware contrast: W_g, b_g and the projection head q.

    Args:
        state_width: s.
        context_width: c.
        projection: q: none, a linear map [s, s], or an mlp of two with a ReLU between them.
        extraction: whether pairs are extracted with the anchor's context (eq. 6); without (ablation no_ce) g_j = h_j.

    Raises:
        ValueError: an unknown projection.
    """

    def __init__(
        self,
        state_width: int,
        context_width: int,
        projection: Projection = "none",
        extraction: bool = True,
    ) -> None:
        super().__init__()
        if projection not in get_args(Projection):
            raise ValueError(f"projection must be one of {', '.join(get_args(Projection))}, is {projection!r}")
        self.context_width = context_width
        layers = {"none": 0, "linear": 1, "mlp": 2}[projection]
        self.head = nn.ModuleList(nn.Linear(state_width, state_width) for _ in range(layers))
        self.extract = nn.Linear(context_width + state_width, state_width) if extraction else None

    def cosines(self, anchor_state: Tensor, context: Tensor, candidates: Tensor, pair_index: Tensor) -> Tensor:
        """Cosine of each anchor to each of its extracted pairs.

        Args:
            anchor_state: h_i [N, s].
            context: c_i [N, c].
            candidates: h_j [U, s], detached where they come from a memory bank.
            pair_index: int64 [N, K], row of ``candidates`` of each pair; masked pairs may name any row.

        Returns:
            cos(q(h_i), q(a_i + p_j)) [N, K] in float32, or float64 for float64 input; 0 where a vector is zero.
        """
        with without_autocast(anchor_state):
            state, context = full_precision(anchor_state), full_precision(context)
            candidates = full_precision(candidates)
            anchor = unit(self.project(state))
            offset, mapped = self._extracted(context, candidates, state)
            if len(self.head):
                offset, mapped = self.head[0](offset), _in_blocks(mapped, self.head[0].get_parameter("weight"))
            if len(self.head) < 2:
                return _pair_cosine(anchor, offset, mapped, pair_index)
            pairs = self.head[1]((offset[:, None] + mapped[pair_index]).relu())
            cosines: Tensor = torch.linalg.vecdot(unit(pairs), anchor[:, None])
            return cosines

    def project(self, states: Tensor) -> Tensor:
        """q of states [..., s]."""
        for number, layer in enumerate(self.head):
            states = layer(states.relu() if number else states)
        return states

    def _extracted(self, context: Tensor, candidates: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """a [N, s] and p [U, s]."""
        if self.extract is None:
            return torch.zeros_like(state), candidates
        of_context = self.extract.weight[:, : self.context_width]
        of_state = self.extract.weight[:, self.context_width :]
        return linear(context, of_context, self.extract.bias), _in_blocks(candidates, of_state)


def _in_blocks(candidates: Tensor, weight: Tensor) -> Tensor:
    """candidates [U, s], weight [s, s] -> their product [U, s]; a CPU multiplies a tall matrix faster in blocks."""
    if candidates.device.type != "cpu" or len(candidates) <= _BLOCK_ROWS:
        return linear(candidates, weight)
    result: Tensor = _Blocks.apply(candidates, weight)  # type: ignore[no-untyped-call]
    return result


class _Blocks(torch.autograd.Function):
    """candidates @ weight.T with every block written in place."""

    @staticmethod
    def forward(ctx: Any, candidates: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(candidates, weight)
        product = candidates.new_empty(len(candidates), len(weight))
        for block, rows in zip(product.split(_BLOCK_ROWS), candidates.split(_BLOCK_ROWS), strict=True):
            torch.mm(rows, weight.T, out=block)
        return product

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        candidates, weight = ctx.saved_tensors
        to_weight = None
        with without_autocast(grad):
            if ctx.needs_input_grad[1]:
                to_weight = torch.zeros_like(weight)
                for block, rows in zip(grad.split(_BLOCK_ROWS), candidates.split(_BLOCK_ROWS), strict=True):
                    to_weight.addmm_(block.T, rows)
            return grad @ weight if ctx.needs_input_grad[0] else None, to_weight


def _pair_cosine(anchor: Tensor, offset: Tensor, projected: Tensor, pair_index: Tensor) -> Tensor:
    """cos(x_i, a_i + p_j) [N, K] for unit anchors x [N, s], a [N, s] and p [U, s]."""
    result: Tensor = _PairCosine.apply(anchor, offset, projected, pair_index)  # type: ignore[no-untyped-call]
    return result


class _PairCosine(torch.autograd.Function):
    """cos(x_i, g_ij) with g_ij = a_i + p_j, for unit anchors x, without keeping any [N, K, s].

    With n = |g_ij| and the incoming gradient e_ij, the gradient at g_ij is w x_i - v g_ij where w = e / n and
    v = e cos / n^2. Its sums over pairs are weighted sums of rows of x, a and p.
    """

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, offset: Tensor, projected: Tensor, pair_index: Tensor) -> Tensor:
        cosine = anchor.new_empty(pair_index.shape)
        inverse_norm = torch.empty_like(cosine)
        count, width = pair_index.shape[1], anchor.shape[1]
        step = max(1, _CHUNK_NUMBERS // max(1, count * width))
        gathered = anchor.new_empty(min(step, len(anchor)) * count, width)
        for start in range(0, len(anchor), step):
            part = slice(start, start + step)
            rows = pair_index[part].flatten()
            pairs = torch.index_select(projected, 0, rows, out=gathered[: len(rows)])
            pairs = pairs.view(len(anchor[part]), count, width).add_(offset[part, None, :])
            norm = torch.linalg.vector_norm(pairs, dim=2)
            inverse_norm[part] = torch.where(norm < SHORTEST, 0.0, norm.reciprocal())
            cosine[part] = torch.linalg.vecdot(pairs, anchor[part, None, :])
        cosine.mul_(inverse_norm)
        ctx.save_for_backward(anchor, offset, projected, pair_index, cosine, inverse_norm)
        return cosine

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        anchor, offset, projected, pair_index, cosine, inverse_norm = ctx.saved_tensors
        w = grad * inverse_norm
        v = w * cosine * inverse_norm
        w_sum, v_sum = w.sum(1, keepdim=True), v.sum(1, keepdim=True)
        to_anchor = to_offset = to_projected = None
        if ctx.needs_input_grad[0]:
            to_anchor = w_sum * offset + embedding_bag(pair_index, projected, per_sample_weights=w, mode="sum")
        if ctx.needs_input_grad[1]:
            pooled = embedding_bag(pair_index, projected, per_sample_weights=v, mode="sum")
            to_offset = w_sum * anchor - v_sum * offset - pooled
        if ctx.needs_input_grad[2]:
            to_projected = _gradient_of_projected(anchor, offset, projected, pair_index, w, v)
        return to_anchor, to_offset, to_projected, None


def _gradient_of_projected(
    anchor: Tensor, offset: Tensor, projected: Tensor, pair_index: Tensor, w: Tensor, v: Tensor
) -> Tensor:
    """Sum over the pairs of each candidate of w x_i - v (a_i + p_j) [U, s]."""
    pairs = pair_index.flatten().argsort(stable=True)
    sizes = pair_index.flatten().bincount(minlength=len(projected))
    starts = sizes.cumsum(0) - sizes
    of_anchor = pairs // pair_index.shape[1]
    v_sum = torch.zeros_like(projected[:, 0]).index_add_(0, pair_index.flatten(), v.flatten())
    w, v = w.flatten()[pairs], v.flatten()[pairs]
    from_anchor = embedding_bag(of_anchor, anchor, starts, per_sample_weights=w, mode="sum")
    from_offset = embedding_bag(of_anchor, offset, starts, per_sample_weights=v, mode="sum")
    return from_anchor.sub_(from_offset).addcmul_(v_sum[:, None], projected, value=-1)
