"""Cosine similarity that is defined for every vector: zero, with a zero gradient, where one of the two has no length.

N   anchors, K pairs per anchor, d width
"""

from __future__ import annotations

import torch
from torch import Tensor

SHORTEST = 1e-12
"""Norm below which a vector has no direction: its cosines are 0."""


def full_precision(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 where it is float64 already: exp(cos / tau) has no meaning in 8 bits."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def without_autocast(tensor: Tensor) -> torch.autocast:
    """A context in which mixed precision leaves the matrix products on the tensor's device alone."""
    return torch.autocast(device_type=tensor.device.type, enabled=False)


def direction_norm(rows: Tensor) -> Tensor:
    """rows [..., d] -> norm [..., 1]; infinite for rows without a direction, so that dividing by it gives zero."""
    norm: Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return norm.masked_fill(norm < SHORTEST, float("inf"))


def unit(rows: Tensor) -> Tensor:
    """rows [..., d] -> rows of length 1; zero rows stay zero and receive no gradient."""
    return rows / direction_norm(rows)


def cosine_to_each(anchor: Tensor, others: Tensor) -> Tensor:
    """anchor [N, d], others [N, K, d] -> cosine of each anchor to each of its own K vectors [N, K]."""
    return torch.einsum("nd,nkd->nk", unit(anchor), unit(others))
