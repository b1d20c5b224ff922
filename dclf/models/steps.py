"""How recurrent cells walk through a batch: step by step, over the dialogues still running.

Dialogues are sorted by falling length, so that those with a t-th utterance are the first n_t of them, and rows lie in
the order of the walk: the n_0 rows of step 0, the n_1 of step 1, and so on. Nothing is padded, and a dialogue's result
does not depend on its neighbours. K cells that share no weights (two directions of an LSTM, three modalities) walk
together on tensors [K, N, F]; what they see at step t is the view [:, slices[t]], [K, n_t, F].

    K   cells walking together     N   utterances of the batch     T   steps, the longest dialogue
    n_t dialogues of step t        F   any width
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dclf.layout import Layout


@dataclass(frozen=True, eq=False)
class Steps:
    """The walk over one batch in one direction.

    Attributes:
        sizes: n_t for t = 0 .. T-1, falling.
        rows: int64 [N], the packed row at each place of the walk.
        places: int64 [N], the place of each packed row: the inverse of ``rows``.
    """

    sizes: tuple[int, ...]
    rows: Tensor
    places: Tensor

    @classmethod
    def of(cls, layout: Layout, *, backwards: bool = False) -> Steps:
        """The walk through every dialogue from its first utterance, or from its last."""
        order = layout.length_tensor.argsort(descending=True, stable=True)
        lengths, starts = layout.length_tensor[order], layout.starts[order]
        time = torch.arange(layout.longest, device=layout.device)[:, None]
        running = time < lengths
        rows = (starts + (lengths - 1 - time if backwards else time))[running]
        places = torch.empty_like(rows).scatter_(0, rows, torch.arange(len(rows), device=rows.device))
        return cls(tuple(running.sum(1).tolist()), rows, places)

    @cached_property
    def slices(self) -> list[slice]:
        """The places of each step."""
        return [slice(*ends) for ends in pairwise(accumulate(self.sizes, initial=0))]

    def views(self, walked: Tensor) -> tuple[Tensor, ...]:
        """[K, N, ...] -> what the cells see at each step, T views [K, n_t, ...]."""
        return torch.split(walked, list(self.sizes), 1)

    def arrange(self, packed: Tensor) -> Tensor:
        """Packed rows [N, F] -> rows in the order of the walk."""
        return permute_rows(packed, self.rows, self.places)

    def restore(self, walked: Tensor) -> Tensor:
        """Rows [N, F] in the order of the walk -> packed rows: the inverse of ``arrange``."""
        return permute_rows(walked, self.places, self.rows)

    def before(self, walked: Tensor) -> Tensor:
        """[K, N, F] -> what each place's dialogue had at the step before, zero at the first. No gradient."""
        shifted = torch.zeros_like(walked)
        slices = self.slices
        for earlier, later in pairwise(slices):
            shifted[:, later] = walked[:, earlier.start : earlier.start + later.stop - later.start]
        return shifted


def permute_rows(rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """``rows[order]`` for a permutation and its inverse; the gradient is a gather too, not a slow scatter-add."""
    return _Permuted.apply(rows, order, inverse)  # type: ignore[no-any-return, no-untyped-call]


class _Permuted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return rows.index_select(0, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return grad.index_select(0, inverse), None, None
