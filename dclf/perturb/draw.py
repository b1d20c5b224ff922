"""Drawing substituted contexts (section 5.5): another dialogue's utterance for every utterance before a target.

An unlabelled utterance has no emotion, so that none has the same or a different one: before a target it stays as it is,
in the pool it stands in for nobody.

C  emotions        T  utterances of the pool        R  pairs of a target and a context utterance in one dialogue
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dclf.data.whole_numbers import whole_number, whole_numbers
from dclf.perturb.conversations import Labelled, fingerprint, spans
from dclf.perturb.substitutions import OWN, Substitutions
from dclf.random_bits import below, name_bits, uniform_bits

Kind = Literal["eccs", "eics"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Emotion-consistent and emotion-inconsistent context substitution."""


def substitute_context(targets: Labelled, pool: Labelled, kind: Kind, *, seed: int, draw: int = 0) -> Substitutions:
    """For every utterance u_i its own substituted context (section 5.5).

    Each of u_1 .. u_{i-1} is replaced by an utterance of another dialogue of the pool, with the same emotion (ECCS) or
    a different one (EICS); all that qualify are equally likely, and one may come more than once. Unlabelled utterances
    stay, as ``OWN``. The draw is a function
    of pool, seed, draw, kind, dialogue id and position alone: any selection or order of the targets gives the same.

    Args:
        targets: the dialogues to perturb, such as ``read_shards(path).index("test")``.
        pool: where the replacements come from, the training split by default of the commands. A dialogue that is in
            both never replaces its own utterances.
        kind: ``eccs`` or ``eics``.
        seed: of the suite.
        draw: number of the draw, 0 or more; another number is another draw.

    Raises:
        ValueError: another kind, a negative draw, labels that are no whole numbers, or an emotion for which no other
            dialogue of the pool has a replacement.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, is {kind!r}")
    whole_number(seed, "seed")
    if whole_number(draw, "draw") < 0:
        raise ValueError(f"draw must be 0 or more, is {draw}")
    of_targets = whole_numbers(targets.labels, "label")
    candidates = _Candidates(pool, int(np.max(of_targets, initial=0)))
    parts = [np.zeros(0, dtype=np.int32)]
    for name, offset, length in zip(targets.dialogue_ids, targets.offsets, targets.lengths, strict=True):
        labels = of_targets[offset : offset + length]
        replacements = _Replacements(candidates, name, labels, kind)
        target, context = np.tril_indices(length, -1)
        bits = uniform_bits(seed, draw, KINDS.index(kind), name_bits(name), target, context)
        parts.append(_of_labelled(replacements, labels[context], bits))
    return _substitutions(targets, pool, kind, seed, draw, np.concatenate(parts))


def _of_labelled(replacements: _Replacements, labels: NDArray[np.int32], bits: NDArray[np.uint64]) -> NDArray[np.int32]:
    """As ``_Replacements.positions``, with ``OWN`` for those that have no label."""
    labelled = labels >= 0
    if labelled.all():
        return replacements.positions(labels, bits)
    rows = np.full(len(labels), OWN, dtype=np.int32)
    rows[labelled] = replacements.positions(labels[labelled], bits[labelled])
    return rows


def own_context(targets: Labelled) -> Substitutions:
    """Every utterance before a target stands for itself: dialogues that end at the target and are not perturbed.

    Models that read later utterances are compared with this; the pool is the targets themselves.
    """
    parts = [np.zeros(0, dtype=np.int64)]
    for offset, length in zip(targets.offsets, targets.lengths, strict=True):
        counts = np.arange(length)
        parts.append(spans(np.full(length, offset), counts))
    return _substitutions(targets, targets, "cut", 0, 0, np.concatenate(parts).astype(np.int32))


def _substitutions(
    targets: Labelled, pool: Labelled, kind: str, seed: int, draw: int, positions: NDArray[np.int32]
) -> Substitutions:
    return Substitutions(
        kind=kind,
        seed=seed,
        draw=draw,
        pool=fingerprint(pool),
        dialogue_ids=tuple(targets.dialogue_ids),
        lengths=np.asarray(targets.lengths, dtype=np.int64),
        positions=positions,
    )


class _Candidates:
    """The pool's labelled utterances by emotion, in each emotion by position: a dialogue's own lie side by side there.

    Attributes:
        order: int64, rows of the pool.
        low: int64 [C], where each emotion begins in ``order``.
        counts: int64 [C], how many it has.
    """

    def __init__(self, pool: Labelled, most: int) -> None:
        labels = whole_numbers(pool.labels, "label").astype(np.int64)
        self.classes = max(most, int(labels.max(initial=0))) + 1
        unlabelled = int(np.count_nonzero(labels < 0))
        self.order = np.argsort(labels, kind="stable")[unlabelled:]
        self.counts = np.bincount(labels[self.order], minlength=self.classes)
        self._total = len(labels)
        self.low = np.cumsum(self.counts) - self.counts
        self._keys = labels[self.order] * self._total + self.order
        bounds = zip(pool.offsets, pool.offsets + pool.lengths, strict=True)
        self._rows = dict(zip(pool.dialogue_ids, bounds, strict=True))

    def own(self, dialogue_id: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Per emotion [C]: the first place within it that a dialogue takes, and how many it takes."""
        start, stop = self._rows.get(dialogue_id, (0, 0))
        first = np.arange(self.classes) * self._total
        low, high = np.searchsorted(self._keys, first + start), np.searchsorted(self._keys, first + stop)
        return low - self.low, high - low


class _Replacements:
    """The utterances that may replace those of one dialogue, for each emotion to be replaced."""

    def __init__(self, candidates: _Candidates, dialogue_id: str, labels: NDArray[np.int32], kind: str) -> None:
        self._candidates = candidates
        self._own, self._own_size = candidates.own(dialogue_id)
        same = np.eye(candidates.classes, dtype=np.bool_)
        self._available = np.where(same if kind == "eccs" else ~same, candidates.counts - self._own_size, 0)
        self._ends = np.cumsum(self._available, axis=1)
        emotions = np.unique(labels[:-1])
        lacking = [emotion for emotion in emotions if emotion >= 0 and not self._ends[emotion, -1]]
        if lacking:
            raise ValueError(
                f"dialogue {dialogue_id}: another dialogue of the pool must have an utterance with "
                f"{'the same' if kind == 'eccs' else 'a different'} emotion for label {int(lacking[0])}, none has; "
                "take a larger pool, such as the training split"
            )

    def positions(self, labels: NDArray[np.int32], bits: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Pool rows [R] for utterances of these emotions [R], from 32 random bits each."""
        k = below(bits, self._ends[labels, -1])
        emotion = np.zeros(len(labels), dtype=np.int64)
        for ends in self._ends.T[:-1]:
            emotion += k >= ends[labels]
        k -= (self._ends - self._available)[labels, emotion]
        k += np.where(k >= self._own[emotion], self._own_size[emotion], 0)
        rows: NDArray[np.int64] = self._candidates.order[self._candidates.low[emotion] + k]
        return rows.astype(np.int32)
