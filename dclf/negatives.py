"""Context-inconsistent pairs (section 3.4): runs of other dialogues with the emotions of an anchor's history.

    T   utterances of all indexed dialogues, numbered dialogue after dialogue: their positions
    W   window           w   length of one anchor's history and of its negative run, at most W
    N   anchors of one call

An anchor's history is the w utterances before it, w = min(W, its time). A run is w consecutive utterances of another
dialogue. Unlabelled utterances have no emotion to match and are not there: anchors, histories and runs are what they
would be in the same dialogues without them.

All runs of w utterances with the same emotions form a group, sorted by position, so that one dialogue's runs lie side
by side within it: drawing another dialogue's run means drawing from the group and skipping that slice. A history whose
group lies in its own dialogue gets a group of its own instead, the runs of other dialogues with the fewest mismatches
(Hamming distance). All groups stand in one array, and a draw is arithmetic on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dclf.data.whole_numbers import whole_numbers
from dclf.random_bits import below, uniform_bits

IntArray = NDArray[np.int64]

_CHUNK_COMPARISONS = 1 << 22
"""Most pairs of a history and a run that are compared at once."""


class EmotionIndex:
    """Finds negatives among the dialogues of the training split, or among those of one batch.

    Args:
        labels: emotion index of every utterance [T], 0 or more, or -1 for one without a label.
        lengths: utterances per dialogue [D], each at least 1, their sum T.

    Raises:
        ValueError: labels or lengths are not such.
    """

    def __init__(self, labels: ArrayLike, lengths: ArrayLike) -> None:
        self._labels = whole_numbers(labels, "label").astype(np.int64)
        self._lengths = whole_numbers(lengths, "length").astype(np.int64)
        _check(self._labels, self._lengths)
        self._total = len(self._labels)
        self._labelled: IntArray | None = None
        if self._labels.min() < 0:
            self._leave_out_unlabelled()
        starts = np.cumsum(self._lengths) - self._lengths
        self._dialogue = np.repeat(np.arange(len(self._lengths)), self._lengths)
        self._time = np.arange(len(self._labels)) - starts[self._dialogue]
        self._left = self._lengths[self._dialogue] - self._time
        self._draws: dict[int, _Draws] = {}

    def _leave_out_unlabelled(self) -> None:
        """Number the labelled utterances alone, and drop the dialogues that have none."""
        dialogue = np.repeat(np.arange(len(self._lengths)), self._lengths)
        self._labelled = np.flatnonzero(self._labels >= 0)
        self._place = np.full(self._total, -1, dtype=np.int64)
        self._place[self._labelled] = np.arange(len(self._labelled))
        counts = np.bincount(dialogue[self._labelled], minlength=len(self._lengths))
        self._labels, self._lengths = self._labels[self._labelled], counts[counts > 0]

    def history(self, positions: ArrayLike, window: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The labelled utterances before each anchor, which stand against its run.

        Args:
            positions: anchors int64 [N], 0 .. T - 1.
            window: W, at least 1.

        Returns:
            Positions int64 [N, W] and mask bool [N, W]. Column p - 1 holds u_{i-p}; masked entries, all of them for an
            unlabelled anchor, are 0.

        Raises:
            ValueError: as ``sample``.
        """
        return self._of_anchors(positions, window, lambda anchors: self._history(anchors, window))

    def sample(
        self, positions: ArrayLike, window: int, seed: int, epoch: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """One run of another dialogue per anchor.

        The run's emotions equal the history's where another dialogue has such a run, else they mismatch in as few
        places as possible; among the best runs each is equally likely. The draw is a function of seed, epoch and
        position alone, counted without unlabelled utterances, whatever other anchors stand beside it. Where no other
        dialogue is as long as the history, only the latest part of it that fits the longest other dialogue is matched.

        Args:
            positions: anchors int64 [N], 0 .. T - 1.
            window: W, at least 1; may exceed every dialogue.
            seed: of the whole run.
            epoch: a new draw for each.

        Returns:
            Positions int64 [N, W] and mask bool [N, W]. Column p - 1 holds the run's utterance that stands where
            u_{i-p} stands in the history. Masked entries are 0: those beyond the history, and all where there is no
            history, no other dialogue or no label.

        Raises:
            ValueError: an impossible window, or a position outside the index.
        """
        return self._of_anchors(positions, window, lambda anchors: self._sample(anchors, window, seed, epoch))

    def _of_anchors(
        self, positions: ArrayLike, window: int, look_up: Callable[[IntArray], tuple[IntArray, NDArray[np.bool_]]]
    ) -> tuple[IntArray, NDArray[np.bool_]]:
        """What ``look_up`` says of anchors that are numbered among the labelled, for anchors numbered among all."""
        if window < 1:
            raise ValueError(f"window must be at least 1, is {window}")
        anchors = whole_numbers(positions, "position").astype(np.int64)
        if anchors.size and not (anchors.min() >= 0 and anchors.max() < self._total):
            raise ValueError(f"positions must lie in 0 .. {self._total - 1}, are {anchors.min()} .. {anchors.max()}")
        if self._labelled is None:
            return look_up(anchors)
        places, masks = np.zeros((len(anchors), window), np.int64), np.zeros((len(anchors), window), np.bool_)
        has_label = self._place[anchors] >= 0
        if has_label.any():
            among_labelled, masks[has_label] = look_up(self._place[anchors[has_label]])
            places[has_label] = np.where(masks[has_label], self._labelled[among_labelled], 0)
        return places, masks

    def _history(self, anchors: IntArray, window: int) -> tuple[IntArray, NDArray[np.bool_]]:
        steps = np.arange(1, window + 1)
        mask = self._time[anchors][:, None] >= steps
        return np.where(mask, anchors[:, None] - steps, 0), mask

    def _sample(self, anchors: IntArray, window: int, seed: int, epoch: int) -> tuple[IntArray, NDArray[np.bool_]]:
        draws = self._prepared(window)
        length = draws.length[anchors]
        start = draws.draw(anchors, uniform_bits(seed, epoch, anchors))
        steps = np.arange(1, window + 1)
        mask = steps <= length[:, None]
        return np.where(mask, (start + length)[:, None] - steps, 0), mask

    def _prepared(self, window: int) -> _Draws:
        """The groups of every anchor for a window, built at its first use and kept."""
        window = min(window, int(self._lengths.max()))
        if window not in self._draws:
            self._draws[window] = self._prepare(window)
        return self._draws[window]

    def _prepare(self, window: int) -> _Draws:
        length = np.minimum(np.minimum(self._time, window), self._longest_other())
        draws = _Draws(length)
        for w, order, group in self._groups(int(length.max())):
            anchors = np.flatnonzero(length == w)
            draws.add(anchors, order, *self._slices(order, group, anchors - w))
            lonely = anchors[draws.size[anchors] == 0]
            if len(lonely):
                draws.add(lonely, *self._nearest(lonely, w))
        draws.close()
        return draws

    def _longest_other(self) -> IntArray:
        """For every utterance [T]: the length of the longest dialogue beside its own, 0 without another."""
        if len(self._lengths) == 1:
            return np.zeros_like(self._time)
        second, first = np.partition(self._lengths, -2)[-2:]
        others = np.full_like(self._lengths, first)
        others[np.argmax(self._lengths)] = second
        return others[self._dialogue]

    def _groups(self, longest: int) -> Iterator[tuple[int, IntArray, IntArray]]:
        """For w = 1 .. longest: the first positions of all runs of w, grouped by emotions, and their group numbers.

        Group numbers of w come from those of w - 1 and the label that follows, so they never exceed T times classes.
        """
        code = np.zeros(len(self._labels), dtype=np.int64)
        classes = int(self._labels.max()) + 1
        for w in range(1, longest + 1):
            runs = np.flatnonzero(self._left >= w)
            key = code[runs] * classes + self._labels[runs + w - 1]
            by_key = np.argsort(key, kind="stable")
            order = runs[by_key]
            group = _numbered(key[by_key])
            code[order] = group
            yield w, order, group

    def _slices(self, order: IntArray, group: IntArray, histories: IntArray) -> tuple[IntArray, ...]:
        """Per history: where its group begins in ``order``, its size, and the slice of its own dialogue."""
        place = np.zeros(len(self._labels), dtype=np.int64)
        place[order] = np.arange(len(order))
        at = place[histories]
        low, high = _bounds(group)
        own = _numbered(group * len(self._lengths) + self._dialogue[order])
        own_low, own_high = _bounds(own)
        g, o = group[at], own[at]
        return low[g], high[g] - low[g], own_low[o] - low[g], own_high[o] - own_low[o]

    def _nearest(self, anchors: IntArray, w: int) -> tuple[IntArray, ...]:
        """For anchors without an exact match: the runs with the fewest mismatches, as ``_Draws.add`` wants them."""
        runs = np.flatnonzero(self._left >= w)
        narrow = np.min_scalar_type(-max(w, int(self._labels.max())) - 1)
        history_of = np.lib.stride_tricks.sliding_window_view(self._labels.astype(narrow), w)
        # Equal histories without a match lie in one dialogue, so they share their nearest runs.
        histories, which = np.unique(history_of[anchors - w], axis=0, return_inverse=True)
        own = np.zeros(len(histories), dtype=np.int64)
        own[which] = self._dialogue[anchors]
        near, size = _fewest_mismatches(histories, own, history_of[runs], self._dialogue[runs])
        none = np.zeros(len(anchors), dtype=np.int64)
        return runs[near], (np.cumsum(size) - size)[which], size[which], none, none


class _Draws:
    """From which runs each anchor draws, for one window.

    Anchor i draws the k-th of ``size[i]`` runs, which is entry ``low[i] + k`` of ``runs``, or, from ``own[i]`` on, the
    one ``own_size[i]`` further on, behind the anchor's own dialogue.
    """

    def __init__(self, length: IntArray) -> None:
        self.length = length
        self.low, self.size, self.own, self.own_size = np.zeros((4, len(length)), dtype=np.int64)
        self.runs = np.zeros(0, dtype=np.int64)
        self._parts: list[IntArray] = []

    def add(
        self, anchors: IntArray, runs: IntArray, low: IntArray, size: IntArray, own: IntArray, own_size: IntArray
    ) -> None:
        """Append runs, and let these anchors draw from them."""
        self.low[anchors] = low + sum(map(len, self._parts))
        self.size[anchors] = size - own_size
        self.own[anchors], self.own_size[anchors] = own, own_size
        self._parts.append(runs)

    def close(self) -> None:
        """Join the runs of all parts; nothing can be added afterwards."""
        if self._parts:
            self.runs = np.concatenate(self._parts)
            self._parts.clear()

    def draw(self, anchors: IntArray, bits: NDArray[np.uint64]) -> IntArray:
        """First position of one run per anchor [N] from 32 random bits each; 0 for anchors without a history."""
        if not len(self.runs):
            return np.zeros(len(anchors), dtype=np.int64)
        k = below(bits, self.size[anchors])
        k += np.where(k >= self.own[anchors], self.own_size[anchors], 0)
        return np.where(self.length[anchors] > 0, self.runs[self.low[anchors] + k], 0)


def _fewest_mismatches(
    histories: NDArray[np.signedinteger], own: IntArray, runs: NDArray[np.signedinteger], dialogue: IntArray
) -> tuple[IntArray, IntArray]:
    """For each history [Q, w] the runs [G, w] of dialogues other than its own with the most equal places.

    Returns:
        Rows of ``runs``, history after history, and how many each history has [Q].
    """
    rows, sizes = [], []
    columns = np.ascontiguousarray(runs.T)
    step = max(1, _CHUNK_COMPARISONS // len(runs))
    for start in range(0, len(histories), step):
        part = histories[start : start + step]
        matches = np.zeros((len(part), len(runs)), dtype=runs.dtype)
        for place, column in zip(part.T, columns, strict=True):
            matches += place[:, None] == column
        matches[own[start : start + step, None] == dialogue] = -1
        best = matches == matches.max(axis=1, keepdims=True)
        rows.append(np.nonzero(best)[1])
        sizes.append(best.sum(axis=1))
    return np.concatenate(rows), np.concatenate(sizes)


def _numbered(keys: IntArray) -> IntArray:
    """Sorted keys -> 0 for the first key, 1 for the next different one, and so on."""
    new = np.ones(len(keys), dtype=np.int64)
    new[1:] = keys[1:] != keys[:-1]
    return np.cumsum(new) - 1


def _bounds(numbers: IntArray) -> tuple[IntArray, IntArray]:
    """First and past-the-last place of each number of ``_numbered``."""
    edges = np.flatnonzero(np.diff(numbers, prepend=-1, append=numbers[-1] + 1))
    return edges[:-1], edges[1:]


def _check(labels: IntArray, lengths: IntArray) -> None:
    if labels.ndim != 1 or lengths.ndim != 1 or len(lengths) == 0 or lengths.min() < 1 or lengths.sum() != len(labels):
        raise ValueError(
            f"lengths must be at least 1 each and sum to the number of labels, "
            f"are {lengths.size} lengths of sum {lengths.sum()} for {labels.size} labels"
        )
    if labels.min() < -1:
        raise ValueError(f"labels must be class indices, 0 or more, or -1 for none, the least is {labels.min()}")
