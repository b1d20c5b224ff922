"""Sinusoidal positions: where in its dialogue an utterance stands."""

from __future__ import annotations

import torch
from torch import Tensor


def positional_table(length: int, width: int, start: int = 0) -> Tensor:
    """Sine and cosine of t / 10000^(2k / width) side by side, of t = start .. start + length - 1.

    Args:
        length: how many positions.
        width: of a position, even; k = 0 .. width / 2 - 1.
        start: the first of them.

    Returns:
        [length, width], float32.
    """
    rates = torch.pow(10000, torch.arange(0, width, 2, dtype=torch.float32) / width)
    angles = torch.arange(start, start + length, dtype=torch.float32)[:, None] / rates
    return torch.stack((angles.sin(), angles.cos()), -1).flatten(1)
