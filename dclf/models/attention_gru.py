"""A GRU whose update gate is an attention weight from outside: it reads a memory in order, and keeps what counts.

r = sigmoid(W_r m + U_r s' + b_r),  s~ = tanh(W m + b + r (U s' + b')),  s = a s~ + (1 - a) s'

    m   [n, D] the memories of the step   a   [n] their weights     s'  [n, D] the state before, zero at first
    R   rows of all sequences             Q   sequences             n   sequences of the step
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dclf.models.steps import Steps


class AttentionGRU(nn.Module):
    """Parameters of the GRU and its walk.

    Args:
        width: D, width of memories and state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = nn.Linear(width, 2 * width)
        """W_r and W, b_r and b."""
        self.reset = nn.Linear(width, width, bias=False)
        self.candidate = nn.Linear(width, width)

    def forward(self, memories: Tensor, weights: Tensor, steps: Steps, last: Tensor) -> Tensor:
        """Read every sequence.

        Args:
            memories: [R, D] in the order of the walk.
            weights: [R] in the order of the walk, in [0, 1].
            steps: the walk.
            last: int64 [Q], the packed row at which each sequence ends.

        Returns:
            The state at the end of each sequence, [Q, D].
        """
        from_input = self.input(memories).chunk(2, 1)
        state = memories.new_zeros(steps.sizes[0], memories.shape[1])
        states = []
        for m_r, m, a in zip(*(part.split(steps.sizes) for part in (*from_input, weights.unsqueeze(1))), strict=True):
            before = state[: len(a)]
            r = (m_r + self.reset(before)).sigmoid()
            state = torch.lerp(before, (m + r * self.candidate(before)).tanh(), a)
            states.append(state)
        return torch.cat(states).index_select(0, steps.places[last])
