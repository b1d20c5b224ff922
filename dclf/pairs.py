"""Which utterances the context contrast compares (section 3.4).

For anchor i the positives are the history u_{i-1} .. u_{i-W} of its own dialogue, the negatives a run of another
dialogue with the same emotions. Both sides come from one source: the memory bank over the training split, or the
states of the batch itself. Mixed sources collapse, because a model can tell fresh states from stale ones.

    N   anchors      W   window      U   distinct candidate utterances
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dclf.bank import MemoryBank
from dclf.data.batch import Batch
from dclf.negatives import EmotionIndex


@dataclass(frozen=True, eq=False)
class ContrastPairs:
    """Candidates and who is compared with whom.

    Attributes:
        candidates: [U, s] detached states, or None where they are the batch's own states.
        index: int64 [N, 2W], rows of the candidates: W positives, nearest first, then W negatives.
        positive_mask: bool [N, W].
        negative_mask: bool [N, W].
    """

    candidates: Tensor | None
    index: Tensor
    positive_mask: Tensor
    negative_mask: Tensor


class PairSampler:
    """Draws the pairs of every batch.

    Args:
        window: W.
        seed: of the negatives.
        bank: the memory bank to take both sides from, with its index; None takes them from the batch.
        emotions: the emotion index of the training split; needed with a bank.
    """

    def __init__(
        self, window: int, seed: int, bank: MemoryBank | None = None, emotions: EmotionIndex | None = None
    ) -> None:
        if (bank is None) != (emotions is None):
            raise ValueError("a memory bank and the emotion index of its utterances go together: give both or neither")
        self.window = window
        self.seed = seed
        self.bank = bank
        self.emotions = emotions

    def pairs(self, batch: Batch, epoch: int) -> ContrastPairs:
        """The pairs of one training batch; the draw of an anchor depends on seed, epoch and utterance alone."""
        time = batch.layout.time.cpu().numpy()
        if self.bank is None or self.emotions is None:
            rows = np.arange(batch.layout.utterances, dtype=np.int64)
            emotions = EmotionIndex(batch.labels.cpu().numpy(), np.asarray(batch.layout.lengths))
            return self._pairs(rows, time, emotions, epoch, batch)
        return self._pairs(batch.positions.cpu().numpy(), time, self.emotions, epoch, batch)

    def _pairs(
        self, rows: NDArray[np.int64], time: NDArray[np.int64], emotions: EmotionIndex, epoch: int, batch: Batch
    ) -> ContrastPairs:
        window = min(self.window, max(1, batch.layout.longest - 1))
        steps = np.arange(1, window + 1)
        positive_mask = time[:, None] >= steps
        positives = np.where(positive_mask, rows[:, None] - steps, rows[:, None])
        negatives, negative_mask = emotions.sample(rows, window, self.seed, epoch)
        negatives = np.where(negative_mask, negatives, rows[:, None])
        index = np.concatenate([positives, negatives], axis=1)
        candidates = None
        device = batch.labels.device
        if self.bank is not None:
            distinct, inverse = np.unique(index, return_inverse=True)
            candidates = self.bank.read(torch.from_numpy(distinct)).to(device)
            index = inverse.reshape(index.shape)
        return ContrastPairs(
            candidates=candidates,
            index=torch.from_numpy(index).to(device),
            positive_mask=torch.from_numpy(positive_mask).to(device),
            negative_mask=torch.from_numpy(negative_mask).to(device),
        )
