"""The workers that train one model together.

Gradients are summed over utterances and divided by the global count, not averaged per worker as DDP does: a worker
with a short batch, or none at all, then weighs what it should, the result does not depend on who got which dialogue,
and unequal shares cannot hang. One flat all-reduce a step is what these models, of a few million parameters, need.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import Parameter


class Workers:
    """This process among the workers; alone unless torch.distributed is initialised.

    Attributes:
        rank: 0 .. size - 1.
        size: how many workers there are.
        device: where this worker computes.
    """

    def __init__(self, device: torch.device) -> None:
        together = distributed.is_available() and distributed.is_initialized()
        self.rank: int = distributed.get_rank() if together else 0
        self.size: int = distributed.get_world_size() if together else 1
        self.device = device

    def sum(self, values: Tensor) -> Tensor:
        """Elementwise sum over the workers; every worker gets it."""
        if self.size == 1:
            return values
        summed = values.to(self.device)
        distributed.all_reduce(summed)
        return summed.to(values.device)

    def gather(self, value: Any) -> list[Any]:
        """Every worker's value, by rank; every worker gets the list."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def gather_first(self, value: Any) -> list[Any]:
        """Every worker's value, by rank, on the first worker alone; an empty list on the others."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size if self.rank == 0 else []
        distributed.gather_object(value, values or None)
        return values

    def sum_gradients(self, parameters: Iterable[Parameter]) -> None:
        """Replace every gradient by its sum over the workers; a parameter that has none anywhere keeps none.

        A worker without a gradient contributes zeros. Zeros everywhere would move a parameter: Adam has momentum.
        """
        if self.size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        there = torch.tensor([float(p.grad is not None) for p in trained], device=self.device)
        parts = [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in trained]
        flat = torch.cat((*parts, there))
        distributed.all_reduce(flat)
        *sums, counts = flat.split([*(p.numel() for p in trained), len(trained)])
        for parameter, gradient, count in zip(trained, sums, counts.tolist(), strict=True):
            parameter.grad = gradient.view_as(parameter) if count else None
