"""How recurrent cells walk through a batch: step by step, over the dialogues still running.

Dialogues are sorted by falling length, so that those with a t-th utterance are the first n_t of them, and rows lie in
the order of the walk: the n_0 rows of step 0, the n_1 of step 1, and so on. Nothing is padded, and a dialogue's result
does not depend on its neighbours. K cells that share no weights (two directions of an LSTM, three modalities) walk
together on tensors [K, N, F]; what they see at step t is the view [:, slices[t]], [K, n_t, F].

    K   cells walking together     N   utterances of the batch     T   steps, the longest dialogue
    n_t dialogues of step t        F   any width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from dclf.layout import Layout
from dclf.models.gradient import by_hand


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
        """Packed rows [N, ...] -> rows in the order of the walk."""
        return arrange(packed, [self])[0]

    def restore(self, walked: Tensor) -> Tensor:
        """Rows [N, ...] in the order of the walk -> packed rows: the inverse of ``arrange``."""
        return restore(walked.unsqueeze(0), [self]).squeeze(1)

    def before(self, walked: Tensor) -> Tensor:
        """[K, N, F] -> what each place's dialogue had at the step before, zero at the first. No gradient."""
        shifted = torch.zeros_like(walked)
        slices = self.slices
        for earlier, later in pairwise(slices):
            shifted[:, later] = walked[:, earlier.start : earlier.start + later.stop - later.start]
        return shifted


def arrange(packed: Tensor, walks: Sequence[Steps]) -> Tensor:
    """Packed rows [N, ...] -> [K, N, ...], for cell k in the order of its own walk."""
    total, cells = len(packed), len(walks)
    orders = torch.stack([walk.rows for walk in walks])
    places = torch.stack([walk.places + k * total for k, walk in enumerate(walks)], 1)
    return _Gather.apply(packed, orders.flatten(), places).unflatten(0, (cells, total))  # type: ignore[no-any-return, no-untyped-call]


def restore(walked: Tensor, walks: Sequence[Steps]) -> Tensor:
    """[K, N, ...] -> packed rows [N, K, ...]: the inverse of ``arrange`` for each cell."""
    total, cells = walked.shape[1], len(walks)
    places = torch.stack([walk.places + k * total for k, walk in enumerate(walks)], 1)
    orders = torch.stack([walk.rows * cells + k for k, walk in enumerate(walks)])
    gathered = _Gather.apply(walked.flatten(0, 1), places.flatten(), orders.view(-1, 1))  # type: ignore[no-untyped-call]
    return gathered.unflatten(0, (total, cells))  # type: ignore[no-any-return]


class _Gather(torch.autograd.Function):
    """rows [R, ...], order [Q] -> rows[order]. ``places`` [R, times] says where each row went.

    With the places known, the gradient is a gather and a sum, not a slow scatter-add.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, order: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        return rows.index_select(0, order)

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        first, *more = places.unbind(1)
        total = grad.index_select(0, first)
        for place in more:
            total += grad.index_select(0, place)
        return total, None, None
