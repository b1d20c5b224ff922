"""Dropout whose random numbers are cheap on a CPU.

torch draws one 64-bit number per element there, which takes longer than the layers it regularises; 16 bits are enough:
the rate is met to within 1 / 65536.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.models.gradient import by_hand

_LEVELS = 1 << 16


def dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """``values`` with each element zeroed at ``rate``, the rest scaled up; unchanged in evaluation."""
    if not training or not rate:
        return values
    if values.is_cuda or rate >= 1:
        return functional.dropout(values, rate)
    return _Drop.apply(values, rate)  # type: ignore[no-any-return, no-untyped-call]


class Dropout(nn.Module):
    """``dropout`` as a layer.

    Args:
        rate: share of zeroed elements.

    Attributes:
        compiled: torch.compile makes the layer and its random numbers.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.compiled = False

    def forward(self, values: Tensor) -> Tensor:
        """``values`` with each element zeroed at the rate, the rest scaled up; unchanged in evaluation."""
        if self.compiled:
            return functional.dropout(values, self.rate, self.training)
        return dropout(values, self.rate, self.training)


def keep_mask(shape: torch.Size | tuple[int, ...], rate: float, like: Tensor) -> Tensor:
    """A dropout mask of this shape, dtype and device of ``like``: zero or 1 / (1 - rate), all zero at rate 1."""
    if like.is_cuda or rate >= 1:
        return functional.dropout(like.new_ones(shape), rate)
    return _keep_mask(shape, rate).to(like.dtype).mul_(_scale(rate))


class _Drop(torch.autograd.Function):
    """Dropout on a CPU. The way back gets one byte per element, where a mask of floats would take four."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rate: float) -> Tensor:
        mask = _keep_mask(values.shape, rate)
        ctx.save_for_backward(mask.to(torch.int8))
        ctx.scale = _scale(rate)
        return mask.to(values.dtype).mul_(values).mul_(ctx.scale)

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return mask.to(grad.dtype).mul_(grad).mul_(ctx.scale), None


def _keep_mask(shape: torch.Size | tuple[int, ...], rate: float) -> Tensor:
    """int16 of this shape, 0 where an element is dropped, else 1."""
    count = torch.Size(shape).numel()
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    # Compared in place it stays a vector of 16 bits; bools take twice as long.
    return drawn[:count].ge_(_dropped(rate) - _LEVELS // 2).view(shape)


def _scale(rate: float) -> float:
    return _LEVELS / (_LEVELS - _dropped(rate))


def _dropped(rate: float) -> int:
    """How many of the levels drop an element at a rate below 1."""
    return min(round(rate * _LEVELS), _LEVELS - 1)
