"""Emotion shifts (Table 7): a speaker feels otherwise than when the same speaker last spoke.  n  utterances.

An utterance without a label has no emotion: it neither shifts nor stands between the two that are compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def emotion_shifts(labels: ArrayLike, speakers: ArrayLike) -> NDArray[np.bool_]:
    """Which utterances of one dialogue shift; a speaker's first labelled utterance never does.

    Args:
        labels: emotion index [n], -1 where there is none.
        speakers: speaker index [n].

    Returns:
        bool [n].
    """
    emotions, voices = np.asarray(labels), np.asarray(speakers)
    shifts = np.zeros(len(emotions), dtype=np.bool_)
    for speaker in np.unique(voices):
        own = np.flatnonzero((voices == speaker) & (emotions >= 0))
        shifts[own[1:]] = emotions[own[1:]] != emotions[own[:-1]]
    return shifts
