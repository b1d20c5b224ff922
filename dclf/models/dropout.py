"""Dropout whose random numbers are cheap on a CPU.

torch draws one 64-bit number per element there, which takes longer than the layers it regularises; 16 bits are enough:
the rate is met to within 1 / 65536.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 1 << 16


def dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """``values`` with each element zeroed at ``rate``, the rest scaled up; unchanged in evaluation."""
    if not training or not rate:
        return values
    if values.is_cuda:
        return functional.dropout(values, rate)
    return values * keep_mask(values.shape, rate, values)


class Dropout(nn.Module):
    """``dropout`` as a layer.

    Args:
        rate: share of zeroed elements.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        """``values`` with each element zeroed at the rate, the rest scaled up; unchanged in evaluation."""
        return dropout(values, self.rate, self.training)


def keep_mask(shape: torch.Size | tuple[int, ...], rate: float, like: Tensor) -> Tensor:
    """A dropout mask of this shape, zero or 1 / (1 - rate), with the dtype and device of ``like``."""
    if like.is_cuda:
        return functional.dropout(like.new_ones(shape), rate)
    count = torch.Size(shape).numel()
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    dropped = min(round(rate * _LEVELS), _LEVELS - 1)
    kept = drawn[:count] >= dropped - _LEVELS // 2
    return kept.view(shape).to(like.dtype).mul_(_LEVELS / (_LEVELS - dropped))
