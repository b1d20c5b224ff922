"""Which utterances the context contrast compares (section 3.4).

For anchor i the positives are the history u_{i-1} .. u_{i-W} of its own dialogue, the negatives a run of another
dialogue with the same emotions. Both sides come from one source: the memory bank over the training split, or the
states of the batch itself. Mixed sources collapse, because a model can tell fresh states from stale ones.

An unlabelled utterance is no anchor, positive or negative, and histories reach over it to the labelled ones before.

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

Masked = tuple[NDArray[np.int64], NDArray[np.bool_]]
"""Places and mask, both [N, W]."""


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
        """The pairs of one training batch.

        With a bank the draw of an anchor depends on seed, epoch and utterance alone; within a batch also on which
        dialogues are in it, in whatever order.
        """
        window = self._window(batch)
        if self.bank is not None and self.emotions is not None:
            rows = batch.positions.cpu().numpy()
            # The index prepares itself for each window that it is asked for, which takes long on a large split.
            sides = self._both_sides(self.emotions, rows, self.window, epoch)
            positives, negatives = ((places[:, :window], mask[:, :window]) for places, mask in sides)
            return self._pairs(rows, positives, negatives, batch)
        # The batch's rows in the order of the training split, which no packing changes.
        order = np.argsort(batch.positions.cpu().numpy(), kind="stable")
        lengths = np.asarray(batch.layout.lengths)[_dialogue_order(batch)]
        emotions = EmotionIndex(batch.labels.cpu().numpy()[order], lengths)
        (history, before), (runs, mask) = self._both_sides(emotions, np.argsort(order), window, epoch)
        rows = np.arange(batch.layout.utterances, dtype=np.int64)
        return self._pairs(rows, (order[history], before), (order[runs], mask), batch)

    def _both_sides(
        self, emotions: EmotionIndex, anchors: NDArray[np.int64], window: int, epoch: int
    ) -> tuple[Masked, Masked]:
        return emotions.history(anchors, window), emotions.sample(anchors, window, self.seed, epoch)

    def _window(self, batch: Batch) -> int:
        return min(self.window, max(1, batch.layout.longest - 1))

    def _pairs(
        self,
        rows: NDArray[np.int64],
        positives: Masked,
        negatives: Masked,
        batch: Batch,
    ) -> ContrastPairs:
        positive_mask, negative_mask = positives[1], negatives[1]
        sides = [np.where(mask, places, rows[:, None]) for places, mask in (positives, negatives)]
        index = np.concatenate(sides, axis=1)
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


def _dialogue_order(batch: Batch) -> NDArray[np.int64]:
    """The batch's dialogues in the order of the training split."""
    firsts = np.cumsum([0, *batch.layout.lengths[:-1]])
    return np.argsort(batch.positions.cpu().numpy()[firsts], kind="stable")
