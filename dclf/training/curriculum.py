"""A curriculum (Nguyen et al., 2024): training begins with the easiest dialogues, and every epoch adds harder ones.

    difficulty = (S + P) / (n + P)

    S   emotion shifts: a speaker feels otherwise than when the same speaker last spoke (``dclf.data.shifts``)
    P   speakers        n   utterances        all three of the labelled utterances alone
    D   dialogues of the training split       K   buckets

Sorted by difficulty, the dialogues are cut into K buckets of equal size, or one more; epoch e = 1, 2, .. trains on the
first min(e, K). The authors' buckets have ceil(D / K) dialogues each, of which there may be fewer than K.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dclf.data.index import DialogueIndex
from dclf.data.shifts import emotion_shifts


def difficulty(labels: ArrayLike, speakers: ArrayLike) -> float:
    """How hard one dialogue is: below 1, and 1 where no utterance has a label.

    Args:
        labels: emotion index [n], -1 where there is none.
        speakers: speaker index [n].
    """
    emotions, voices = np.asarray(labels), np.asarray(speakers)
    labelled = emotions >= 0
    if not labelled.any():
        return 1.0
    present = len(np.unique(voices[labelled]))
    return float((emotion_shifts(emotions, voices).sum() + present) / (labelled.sum() + present))


class Curriculum:
    """The dialogues of the training split in buckets. Depends on the index alone: every worker has the same.

    Args:
        index: of the training split.
        buckets: K, 1 or more; as many as there are dialogues where it is more.

    Attributes:
        buckets: K lists of dialogue ids, the easiest first; dialogues of equal difficulty keep the index's order.
    """

    def __init__(self, index: DialogueIndex, buckets: int) -> None:
        ends = zip(index.offsets, index.offsets + index.lengths, strict=True)
        rated = [difficulty(index.labels[start:end], index.speakers[start:end]) for start, end in ends]
        order: NDArray[np.int64] = np.argsort(rated, kind="stable")
        parts = np.array_split(order, min(buckets, len(order)))
        self.buckets = tuple(tuple(index.dialogue_ids[place] for place in part) for part in parts)

    def dialogues(self, epoch: int) -> frozenset[str]:
        """Ids of the dialogues that this epoch trains on; the first epoch is 1."""
        return frozenset(dialogue for bucket in self.buckets[:epoch] for dialogue in bucket)
