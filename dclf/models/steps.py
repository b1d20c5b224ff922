"""How recurrent cells walk through a batch: step by step, over the dialogues still running.

Dialogues are sorted by falling length, so that those with a t-th utterance are the first n_t of them. K cells that
share no weights (two directions of an LSTM, three modalities) walk together: the rows of step t lie side by side as
one block [K, n_t, F], block after block. Nothing is padded, every block is contiguous, and a dialogue's result does
not depend on its neighbours.

    K   cells walking together     N   utterances of the batch     T   steps, the longest dialogue
    n_t dialogues of step t        F   any width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dclf.layout import Layout


@dataclass(frozen=True, eq=False)
class Steps:
    """The walk over one batch, for K cells.

    Attributes:
        sizes: n_t for t = 0 .. T-1, falling.
        rows: int64 [K, N], the packed row that cell k reads at each place of its walk.
        to_blocks: int64 [K * N], for every block row the row of the stacked input [K * N].
        from_blocks: int64 [K * N], the inverse permutation.
        previous: int64 [K * (N - n_0)], for every block row after the first step the same dialogue's row before it.
    """

    sizes: tuple[int, ...]
    rows: Tensor
    to_blocks: Tensor
    from_blocks: Tensor
    previous: Tensor

    @classmethod
    def of(cls, layout: Layout, backwards: Sequence[bool]) -> Steps:
        """The walk of ``len(backwards)`` cells, each forwards or backwards through every dialogue."""
        order = layout.length_tensor.argsort(descending=True, stable=True)
        lengths = layout.length_tensor[order]
        time = torch.arange(layout.longest, device=layout.device)
        running = time[:, None] < lengths
        ahead = (layout.starts[order] + time[:, None])[running]
        back = (layout.starts[order] + lengths - 1 - time[:, None])[running]
        rows = torch.stack([back if backward else ahead for backward in backwards])
        sizes = running.sum(1)
        to_blocks = _block_order(sizes, rows)
        return cls(tuple(sizes.tolist()), rows, to_blocks, _inverse(to_blocks), _previous(sizes, len(backwards)))

    @property
    def cells(self) -> int:
        """K."""
        return self.rows.shape[0]

    def gather(self, stacked: Tensor) -> Tensor:
        """[K, N, F] in packed order -> block rows [K * N, F]."""
        return _Permuted.apply(stacked.flatten(0, 1), self.to_blocks, self.from_blocks)  # type: ignore[no-any-return]

    def scatter(self, blocks: Tensor) -> Tensor:
        """Block rows [K * N, F] -> [K, N, F] in packed order: the inverse of ``gather``."""
        rows = _Permuted.apply(blocks, self.from_blocks, self.to_blocks)
        return rows.unflatten(0, (self.cells, -1))  # type: ignore[no-any-return]

    def before(self, blocks: Tensor) -> Tensor:
        """Block rows [K * N, F] -> those of the step before, [K * N, F], zero at the first step. No gradient."""
        first = blocks.new_zeros(self.cells * self.sizes[0], *blocks.shape[1:])
        return torch.cat((first, blocks.index_select(0, self.previous)))

    def views(self, blocks: Tensor) -> list[Tensor]:
        """Block rows [K * N, F] -> T views [K, n_t, F]."""
        parts = blocks.split([self.cells * size for size in self.sizes])
        return [part.view(self.cells, size, -1) for part, size in zip(parts, self.sizes, strict=True)]


def _block_order(sizes: Tensor, rows: Tensor) -> Tensor:
    """For every block row the row of the stacked input; ``sizes`` [T], ``rows`` [K, N]."""
    cells, total = rows.shape
    step = torch.arange(len(sizes), device=rows.device).repeat_interleave(sizes)
    cell = torch.arange(cells, device=rows.device)[:, None].expand(cells, total)
    place = torch.arange(total, device=rows.device).expand(cells, total)
    key = (step * cells + cell) * total + place
    return (cell * total + rows).flatten()[key.flatten().argsort()]


def _previous(sizes: Tensor, cells: int) -> Tensor:
    """``Steps.previous``: block t starts at row K * (n_0 + .. + n_{t-1}) and cell k's part of it n_t * k later."""
    starts = cells * (sizes.cumsum(0) - sizes)
    size, before, start = (t.repeat_interleave(cells * sizes[1:]) for t in (sizes[1:], sizes[:-1], starts[:-1]))
    within = torch.arange(len(size), device=sizes.device) + cells * sizes[0] - start - cells * before
    return start + within // size * before + within % size


def _inverse(permutation: Tensor) -> Tensor:
    return torch.empty_like(permutation).scatter_(0, permutation, torch.arange(len(permutation)).to(permutation))


class _Permuted(torch.autograd.Function):
    """Rows in another order; the gradient is the inverse permutation, cheaper than index_select's scatter-add."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return rows.index_select(0, order)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return grad.index_select(0, inverse), None, None
