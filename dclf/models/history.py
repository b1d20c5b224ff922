"""Attention over what was said before: the dialogue summary c_i of models that compute none of their own.

n  utterances of one dialogue   N  utterances of the batch   s  state width
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dclf.layout import Layout
from dclf.losses.cosine import full_precision, without_autocast


def pool_history(state: Tensor, layout: Layout) -> Tensor:
    """Pool the earlier states of each dialogue with the own state as query (scaled dot product), in full precision.

    Args:
        state: [N, s].
        layout: which rows form which dialogue.

    Returns:
        [N, s], zero for the first utterance of a dialogue.
    """
    with without_autocast(state):
        return torch.cat([_pool(part) for part in full_precision(state).split(layout.lengths)])


def _pool(state: Tensor) -> Tensor:
    """One dialogue, [n, s]: row i attends to rows 0 .. i-1."""
    keys = state[:-1]
    scores = state[1:] @ keys.T / math.sqrt(state.shape[1])
    later = torch.ones_like(scores, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(later, -math.inf).softmax(-1)
    return torch.cat((state.new_zeros(1, state.shape[1]), weights @ keys))
