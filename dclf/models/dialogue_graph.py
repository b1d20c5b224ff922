"""The graph over the utterances of each dialogue in every modality: similarity, adjacency, propagation.

A node is an utterance in one modality. Edges join all nodes of one modality within a dialogue, self loops included
(``causal``: only from the same and earlier utterances), and the modalities of one utterance. Similarity of two nodes
is 1 - acos(0.99999 cos(x, y)) / pi; the adjacency is D^-1/2 S D^-1/2 with D the row sums of S. The 3n x 3n matrix of
the paper is never built: per dialogue it is M blocks of n x n and the M x M weights of each utterance.

    M   modalities     N   utterances of the batch     n   utterances of one dialogue     E, F   widths

The sums over a dialogue are written with their gradients by hand, dialogue after dialogue without padding: what a
dialogue gets does not depend on its neighbours, and small graphs cost no overhead of automatic differentiation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dclf.layout import Layout
from dclf.models.gradient import by_hand

SHRINK = 0.99999
"""Keeps acos away from 1, where its slope is infinite."""


@dataclass(frozen=True, eq=False)
class DialogueGraph:
    """The normalised adjacency of one batch.

    Attributes:
        within: [sum of M n^2], per dialogue the blocks [M, n, n] of its modalities, row by row.
        across: [N, M, M], weights between the modalities of an utterance, zero on the diagonal.
        layout: which rows form which dialogue.
    """

    within: Tensor
    across: Tensor
    layout: Layout

    @classmethod
    def of(cls, nodes: Tensor, layout: Layout, *, causal: bool) -> DialogueGraph:
        """The graph of node features [N, M, E]; differentiable, finite for all-zero rows."""
        unit = unit_rows(nodes)
        across = across_similarity(unit)
        within, scale = _Adjacency.apply(unit, across.sum(-1), layout, causal)  # type: ignore[no-untyped-call]
        return cls(within, scale.unsqueeze(-1) * across * scale.unsqueeze(-2), layout)

    def propagate(self, hidden: Tensor) -> Tensor:
        """One hop: hidden [N, M, F] -> A hidden [N, M, F]. No gradient; see ``hop``."""
        out = torch.empty_like(hidden)
        for block, rows, to in zip(self.blocks(), _rows(hidden, self.layout), _rows(out, self.layout), strict=True):
            torch.bmm(block, rows, out=to)
        return out.baddbmm_(self.across, hidden)

    def hop(self, hidden: Tensor) -> Tensor:
        """``propagate``, differentiable in hidden and in the adjacency."""
        return _Hop.apply(hidden, self.within, self.across, self.layout)  # type: ignore[no-any-return, no-untyped-call]

    def propagate_back(self, grad: Tensor, hidden: Tensor, into: DialogueGraph) -> Tensor:
        """From the gradient of ``propagate(hidden)`` to that of hidden; that of the weights is added to ``into``."""
        out = torch.empty_like(hidden)
        blocks = zip(self.blocks(), into.blocks(), strict=True)
        rows = (_rows(part, self.layout) for part in (grad, hidden, out))
        for (block, to_block), g, h, to in zip(blocks, *rows, strict=True):
            to_block.baddbmm_(g, h.transpose(1, 2))
            torch.bmm(block.transpose(1, 2), g, out=to)
        into.across.baddbmm_(grad, hidden.transpose(1, 2))
        return out.baddbmm_(self.across.transpose(1, 2), grad)

    def blocks(self) -> list[Tensor]:
        """Per dialogue the adjacency [M, n, n] within each modality."""
        return list(_blocks(self.within, self.layout, self.across.shape[1]))


def unit_rows(rows: Tensor) -> Tensor:
    """[..., E] scaled to length one; an all-zero row stays zero and gets no gradient."""
    squared = rows.square().sum(-1, keepdim=True)
    tiny = torch.finfo(rows.dtype).tiny
    return rows * torch.where(squared > tiny, squared.clamp_min(tiny).rsqrt(), 0)


def angular_similarity(cosine: Tensor) -> Tensor:
    """1 - acos(0.99999 cosine) / pi, in (0, 1)."""
    return 1 - torch.acos(SHRINK * cosine) / math.pi


def across_similarity(unit: Tensor) -> Tensor:
    """Unit nodes [N, M, E] -> similarity [N, M, M] of the modalities of one utterance, zero on the diagonal."""
    modalities = unit.shape[1]
    similarity = angular_similarity(torch.bmm(unit, unit.transpose(1, 2)))
    return similarity * (1 - torch.eye(modalities, dtype=unit.dtype, device=unit.device))


def within_similarity(unit: Tensor, layout: Layout, *, causal: bool) -> tuple[Tensor, Tensor]:
    """Unit nodes [N, M, E] -> similarity [sum of M n^2] within modality and dialogue, and its slope over the cosine.

    Both are zero where there is no edge. No gradient.
    """
    cosine = unit.new_empty(unit.shape[1] * sum(n * n for n in layout.lengths))
    for block, rows in zip(_blocks(cosine, layout, unit.shape[1]), _rows(unit, layout), strict=True):
        torch.bmm(rows, rows.transpose(1, 2), out=block)
    cosine *= SHRINK
    slope = torch.addcmul(torch.ones_like(cosine), cosine, cosine, value=-1).rsqrt_().mul_(SHRINK / math.pi)
    similarity = cosine.acos_().mul_(-1 / math.pi).add_(1)
    if causal:
        for flat in (similarity, slope):
            for block in _blocks(flat, layout, unit.shape[1]):
                block.tril_()
    return similarity, slope


class _Adjacency(torch.autograd.Function):
    """unit [N, M, E], across_degree [N, M] -> adjacency [sum of M n^2] and scale D^-1/2 [N, M]."""

    @staticmethod
    def forward(ctx: Any, unit: Tensor, across_degree: Tensor, layout: Layout, causal: bool) -> tuple[Tensor, Tensor]:
        similarity, slope = within_similarity(unit, layout, causal=causal)
        modalities = unit.shape[1]
        blocks = list(_blocks(similarity, layout, modalities))
        scale = (across_degree + torch.cat([block.sum(-1).T for block in blocks])).rsqrt()
        adjacency = torch.empty_like(similarity)
        for out, block, d in zip(_blocks(adjacency, layout, modalities), blocks, _columns(scale, layout), strict=True):
            torch.mul(block, d.unsqueeze(2) * d.unsqueeze(1), out=out)
        ctx.layout = layout
        ctx.save_for_backward(unit, adjacency, slope, scale)
        return adjacency, scale

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad: Tensor, grad_scale: Tensor) -> tuple[Tensor, Tensor, None, None]:
        unit, adjacency, slope, scale = ctx.saved_tensors
        layout: Layout = ctx.layout
        modalities = unit.shape[1]
        # With s = D^-1/2, A_ij = s_i S_ij s_j depends on s_i through row i and column i.
        through = list(_blocks(grad * adjacency, layout, modalities))
        both = torch.cat([(block.sum(2) + block.sum(1)).T for block in through])
        grad_degree = (grad_scale * scale + both) * scale.square() * -0.5
        grad_unit = torch.empty_like(unit)
        parts = (_blocks(t, layout, modalities) for t in (grad, slope))
        columns = (_columns(t, layout) for t in (scale, grad_degree))
        for g, k, d, gd, rows, out in zip(*parts, *columns, _rows(unit, layout), _rows(grad_unit, layout), strict=True):
            cosine = torch.addcmul(gd.unsqueeze(2), g, d.unsqueeze(2) * d.unsqueeze(1)).mul_(k)
            torch.bmm(cosine + cosine.transpose(1, 2), rows, out=out)
        return grad_unit, grad_degree, None, None


class _Hop(torch.autograd.Function):
    """hidden [N, M, F], the graph's within and across -> A hidden [N, M, F]."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, within: Tensor, across: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        ctx.save_for_backward(hidden, within, across)
        return DialogueGraph(within, across, layout).propagate(hidden)

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        hidden, within, across = ctx.saved_tensors
        grads = DialogueGraph(torch.zeros_like(within), torch.zeros_like(across), ctx.layout)
        on_hidden = DialogueGraph(within, across, ctx.layout).propagate_back(grad, hidden, grads)
        return on_hidden, grads.within, grads.across, None


def _blocks(flat: Tensor, layout: Layout, modalities: int) -> Iterator[Tensor]:
    """Views [M, n, n] of the flat blocks."""
    parts = flat.split([modalities * n * n for n in layout.lengths])
    return (part.view(modalities, n, n) for part, n in zip(parts, layout.lengths, strict=True))


def _rows(rows: Tensor, layout: Layout) -> Iterator[Tensor]:
    """Views [M, n, F] of rows [N, M, F]."""
    return (part.transpose(0, 1) for part in rows.split(layout.lengths))


def _columns(values: Tensor, layout: Layout) -> Iterator[Tensor]:
    """Views [M, n] of values [N, M]."""
    return (part.T for part in values.split(layout.lengths))
