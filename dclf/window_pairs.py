"""Counterfactual windows for the context contrast: an anchor behind its own history, and behind one of equal emotions.

The own window of anchor u_i is u_{i-W} .. u_{i-1}, u_i. In its foreign window each labelled utterance before u_i gives
way to one of another dialogue of the batch with the same emotion; speaker slots and u_i stay. The model encodes both,
as short dialogues of one more batch. An unlabelled utterance is no anchor and no replacement, and stays where it is; so
does an utterance whose emotion no other dialogue of the batch has.

    N   utterances of the batch        A   anchors        W   window        R   utterances of all own windows
    P   places of own windows whose utterances are replaced
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.perturb.conversations import spans
from dclf.random_bits import below, uniform_bits

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WindowPairs:
    """The windows of a batch's anchors, and which of their utterances are compared with the anchor.

    Attributes:
        anchors: int64 [A], rows of the batch.
        layout: 2A dialogues: the own windows, then the foreign ones in the same order.
        rows: int64 [2R], the row of the batch whose features stand in each place.
        slots: int64 [2R], the row of the batch whose speaker stands in each place.
        targets: int64 [A], place of each anchor in its own window; R further on it stands in the foreign one.
        index: int64 [A, W], place of u_{i-p} in the own window in column p - 1; R further on is its replacement.
        mask: bool [A, W], where there is one.
    """

    anchors: Tensor
    layout: Layout
    rows: Tensor
    slots: Tensor
    targets: Tensor
    index: Tensor
    mask: Tensor


class WindowSampler:
    """Draws the anchors of every batch and their foreign windows.

    Args:
        window: W.
        seed: of anchors and replacements.
        anchors: most anchors of a batch, 0 or more.
    """

    def __init__(self, window: int, seed: int, anchors: int) -> None:
        self.window = window
        self.seed = seed
        self.anchors = anchors

    def pairs(self, batch: Batch, epoch: int) -> WindowPairs:
        """The windows of one training batch.

        They depend on seed, epoch and on which dialogues are in the batch, in whatever order.
        """
        rows = _Rows.of(batch)
        replaceable = rows.replaceable()
        anchors = self._anchors(rows, replaceable, epoch)
        length = np.minimum(rows.time[anchors], self.window)
        own = spans(anchors - length, length + 1)
        targets = np.cumsum(length + 1) - 1
        anchor_of = np.repeat(anchors, length + 1)
        replaced = replaceable[own] & (own != anchor_of)
        foreign = own.copy()
        foreign[replaced] = self._replacements(rows, anchor_of[replaced], own[replaced], epoch)
        steps = np.arange(1, self.window + 1)
        inside = steps <= length[:, None]
        index = np.where(inside, targets[:, None] - steps, targets[:, None])
        device = batch.labels.device

        def tensor(array: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(array).to(device)

        return WindowPairs(
            anchors=tensor(anchors),
            layout=Layout.of([*(length + 1), *(length + 1)], device),
            rows=tensor(np.concatenate([own, foreign])),
            slots=tensor(np.concatenate([own, own])),
            targets=tensor(targets),
            index=tensor(index),
            mask=tensor(inside & replaced[index]),
        )

    def _anchors(self, rows: _Rows, replaceable: NDArray[np.bool_], epoch: int) -> IntArray:
        """Labelled utterances with something to replace before them, in the order of the training split [A]."""
        before = np.concatenate([[0], np.cumsum(replaceable)])
        place = np.arange(len(rows.labels))
        length = np.minimum(rows.time, self.window)
        eligible = np.flatnonzero((rows.labels >= 0) & (before[place] > before[place - length]))
        positions = rows.positions[eligible]
        lot = np.lexsort((positions, uniform_bits(self.seed, epoch, positions)))[: self.anchors]
        return eligible[lot[np.argsort(positions[lot])]]

    def _replacements(self, rows: _Rows, anchors: IntArray, replaced: IntArray, epoch: int) -> IntArray:
        """Rows of other dialogues with the emotions of the rows ``replaced`` [P], each equally likely."""
        order = np.argsort(rows.positions, kind="stable")
        same = rows.labels[replaced, None] == rows.labels[order]
        same &= rows.dialogue[replaced, None] != rows.dialogue[order]
        bits = uniform_bits(self.seed, epoch, rows.positions[anchors], rows.positions[replaced])
        chosen = below(bits, same.sum(axis=1))
        places: IntArray = np.argmax(same.cumsum(axis=1) > chosen[:, None], axis=1)
        return order[places]


@dataclass(frozen=True, eq=False)
class _Rows:
    """The utterances of a batch, int64 [N] each: label, place in the training split, dialogue and time within it."""

    labels: IntArray
    positions: IntArray
    dialogue: IntArray
    time: IntArray

    @classmethod
    def of(cls, batch: Batch) -> _Rows:
        tensors = (batch.labels, batch.positions, batch.layout.dialogue_of, batch.layout.time)
        return cls(*(tensor.cpu().numpy() for tensor in tensors))

    def replaceable(self) -> NDArray[np.bool_]:
        """Which rows have a label that another dialogue has too [N]."""
        counts = np.zeros((self.dialogue[-1] + 1, max(0, self.labels.max()) + 1), dtype=np.int64)
        known = self.labels >= 0
        np.add.at(counts, (self.dialogue[known], self.labels[known]), 1)
        elsewhere = counts.sum(axis=0) - counts
        shared: NDArray[np.bool_] = elsewhere[self.dialogue, self.labels] > 0
        return known & shared
