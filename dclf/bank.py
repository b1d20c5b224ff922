"""A memory bank of the training utterances' states: where both sides of a context contrast come from.

What is written during an epoch is read in the next one. All pairs of an epoch are then of one age, so that nothing but
what was said tells positives from negatives: were each state replaced at once, the negatives, which lie anywhere in the
epoch's order, would be younger on average than the anchor's own history.

T   utterances of the training split, over all workers
s   state width
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.distributed as dist
from torch import Tensor, nn


class MemoryBank(nn.Module):
    """The state that every training utterance had in the epoch before, detached and in float32.

    The buffers travel with ``state_dict``. Keep the bank beside a model under DistributedDataParallel, not within it:
    DDP would broadcast all its rows before every step, where ``synchronise`` sends only those that changed.

    Args:
        utterances: T.
        width: s.

    Attributes:
        states: float32 [T, s], what is read.
        filled: bool [T], which of its rows there are.
        coming: float32 [T, s], what was written since the last ``turn``, and ``states`` elsewhere. Not saved: a
            checkpoint is written between epochs.
    """

    states: Tensor
    filled: Tensor
    coming: Tensor
    _written: Tensor

    def __init__(self, utterances: int, width: int) -> None:
        super().__init__()
        self.register_buffer("states", torch.zeros(utterances, width))
        self.register_buffer("filled", torch.zeros(utterances, dtype=torch.bool))
        self.register_buffer("coming", torch.zeros(utterances, width), persistent=False)
        self.register_buffer("_written", self.filled.clone(), persistent=False)

    def turn(self) -> None:
        """From now on what was written is read."""
        self.states.copy_(self.coming)
        self.filled |= self._written

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Be as the bank was whose ``state_dict`` this is, just after a ``turn``."""
        self.load_state_dict(saved)
        self.coming.copy_(self.states)
        self._written.copy_(self.filled)

    @torch.no_grad()
    def write(self, positions: Tensor, states: Tensor) -> None:
        """Replace the states of some utterances for the time after the next ``turn``.

        Args:
            positions: int64 [N], 0 .. T - 1, each at most once.
            states: [N, s].

        Raises:
            ValueError: the shapes do not fit each other or the bank.
        """
        if positions.ndim != 1 or states.shape != (len(positions), self.states.shape[1]):
            raise ValueError(
                f"states must be [{len(positions)}, {self.states.shape[1]}] for {len(positions)} positions, "
                f"are {tuple(states.shape)}"
            )
        positions = positions.to(self.states.device)
        self.coming.index_copy_(0, positions, states.to(self.states))
        self._written.index_fill_(0, positions, True)

    def read(self, positions: Tensor) -> Tensor:
        """States [..., s] of utterances at int64 positions [...], without gradient.

        Raises:
            RuntimeError: one of them was never written.
        """
        positions = positions.to(self.states.device)
        if not bool(self.filled[positions].all()):
            missing = int((~self.filled[positions]).sum())
            raise RuntimeError(
                f"{missing} of {positions.numel()} states were read before they were written; "
                f"fill the memory bank with one pass over the training split first"
            )
        return self.states[positions]

    def synchronise(self, positions: Tensor, states: Tensor) -> None:
        """Write this worker's states and those that the other workers write in the same step.

        A plain ``write`` outside a process group. Within one every worker must call it, with any number of rows; all
        banks are the same afterwards. Where two workers bring the same utterance the higher rank's state stays.

        Args:
            positions: int64 [N], this worker's utterances.
            states: [N, s].
        """
        if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            self.write(positions, states)
            return
        states = states.detach().float()
        for rows, values in _gather_rows(positions.to(states.device), states):
            self.write(rows, values)


def _gather_rows(positions: Tensor, states: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Positions and states of every worker, in the order of ranks; the workers' row counts may differ."""
    counts = positions.new_empty(dist.get_world_size())
    dist.all_gather_into_tensor(counts, positions.new_tensor([len(positions)]))
    sizes = [int(n) for n in counts]
    all_positions, all_states = _gather_padded(positions, sizes), _gather_padded(states, sizes)
    return list(zip(all_positions, all_states, strict=True))


def _gather_padded(rows: Tensor, sizes: list[int]) -> list[Tensor]:
    """Each worker's rows [n, ...]; they travel padded to the longest, since collectives want equal shapes."""
    longest = max(sizes)
    padded = rows.new_zeros((longest, *rows.shape[1:]))
    padded[: len(rows)] = rows
    gathered = rows.new_empty((longest * len(sizes), *rows.shape[1:]))
    dist.all_gather_into_tensor(gathered, padded)
    bounds = range(0, longest * len(sizes) + 1, longest) if longest else [0] * (len(sizes) + 1)
    return [gathered[low:high][:size] for (low, high), size in zip(pairwise(bounds), sizes, strict=True)]
