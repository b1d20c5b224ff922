"""How the utterances of several dialogues lie in one flat tensor.

A batch is packed, not padded: B dialogues of n_1 .. n_B utterances are N = sum n_b rows, dialogue after dialogue.
Every pointwise layer (encoders, heads, decoder) then does no work on padding, and padding cannot leak where there is
none. Models that need a time axis unfold the rows with ``pad`` and fold them back with ``pack``.

    B   dialogues        L   longest of them      N   utterances of all of them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import index

import torch
from torch import Tensor

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Layout:
    """Lengths of the dialogues of one batch, and the index tensors derived from them.

    Attributes:
        lengths: utterances per dialogue, each at least 1.
        device: where the index tensors live.
    """

    lengths: tuple[int, ...]
    device: torch.device = CPU

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device | str = "cpu") -> Layout:
        """The layout of dialogues with these lengths."""
        return cls(tuple(index(n) for n in lengths), torch.device(device))

    def repeat(self, times: int) -> Layout:
        """The layout of rows [times N, ...]: these dialogues so many times, one after another."""
        return Layout(self.lengths * times, self.device)

    @property
    def dialogues(self) -> int:
        """B."""
        return len(self.lengths)

    @property
    def longest(self) -> int:
        """L."""
        return max(self.lengths)

    @property
    def utterances(self) -> int:
        """N."""
        return sum(self.lengths)

    @cached_property
    def length_tensor(self) -> Tensor:
        """int64 [B]."""
        return torch.tensor(self.lengths, dtype=torch.int64, device=self.device)

    @cached_property
    def dialogue_of(self) -> Tensor:
        """int64 [N], the dialogue each row belongs to."""
        return torch.arange(self.dialogues, device=self.device).repeat_interleave(self.length_tensor)

    @cached_property
    def starts(self) -> Tensor:
        """int64 [B], the first row of each dialogue."""
        return self.length_tensor.cumsum(0) - self.length_tensor

    @cached_property
    def time(self) -> Tensor:
        """int64 [N], position of each row within its dialogue, from 0."""
        return torch.arange(self.utterances, device=self.device) - self.starts[self.dialogue_of]

    @cached_property
    def mask(self) -> Tensor:
        """bool [B, L], true on real utterances."""
        steps = torch.arange(self.longest, device=self.device)
        return steps[None, :] < self.length_tensor[:, None]

    @cached_property
    def _slots(self) -> Tensor:
        """int64 [N], place of each row in the flattened [B * L] grid."""
        return self.dialogue_of * self.longest + self.time

    def pad(self, rows: Tensor) -> Tensor:
        """rows [N, ...] -> [B, L, ...], zero where there is no utterance."""
        grid = rows.new_zeros((self.dialogues * self.longest, *rows.shape[1:]))
        return grid.index_copy(0, self._slots, rows).view(self.dialogues, self.longest, *rows.shape[1:])

    def pack(self, grid: Tensor) -> Tensor:
        """grid [B, L, ...] -> rows [N, ...]: the inverse of ``pad``."""
        return grid.reshape(self.dialogues * self.longest, *grid.shape[2:]).index_select(0, self._slots)
