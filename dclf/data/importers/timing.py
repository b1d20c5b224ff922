"""What a transcript's clock tells about the voice: how long, how fast, after what pause, over whose words.

n  utterances of a dialogue
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIMING_COLUMNS = ("duration", "words per second", "pause", "overlap")

LONGEST_UTTERANCE = 30.0
"""Seconds; longer ones are cut marks gone wrong (MELD's test split has one of 305 s)."""
FASTEST_SPEECH = 10.0
"""Words per second; cut marks around a few syllables give hundreds."""
LONGEST_GAP = 10.0
"""Seconds of pause or overlap; beyond it the scene has changed (MELD jumps by up to 21 minutes)."""

_CLOCK = re.compile(r"^\s*(\d+):([0-5]?\d):([0-5]?\d)(?:[,.](\d{1,3}))?\s*$")


def seconds(clock: str) -> float:
    """Seconds of a time such as 00:16:21,940 or 0:16:21; ValueError on anything else."""
    matched = _CLOCK.match(clock)
    if matched is None:
        raise ValueError(f"must be a time like 00:16:21,940, is {clock!r}")
    hours, minutes, whole, fraction = matched.groups()
    return 3600 * int(hours) + 60 * int(minutes) + int(whole) + int((fraction or "").ljust(3, "0")) / 1000


def timing_features(starts: ArrayLike, ends: ArrayLike, transcripts: Sequence[str]) -> NDArray[np.float64]:
    """The four timing columns of one dialogue.

    Broken clocks occur: an end before its start counts as no duration and no speed, and what lies beyond the bounds
    of this module is cut to them. Durations and gaps are log(1 + s), so that a jump weighs little beside speech.

    Args:
        starts: n start times, seconds.
        ends: n end times, seconds.
        transcripts: n utterances; words are what white space separates.

    Returns:
        float64 [n, 4] in the order of ``TIMING_COLUMNS``; pause and overlap of the first utterance are 0.
    """
    begin, end = np.asarray(starts, dtype=np.float64), np.asarray(ends, dtype=np.float64)
    words = np.array([len(transcript.split()) for transcript in transcripts], dtype=np.float64)
    duration = np.clip(end - begin, 0.0, LONGEST_UTTERANCE)
    with np.errstate(over="ignore"):  # a duration next to nothing, and the quotient is cut to bounds below
        speed = np.divide(words, duration, out=np.zeros_like(words), where=duration > 0)
    gap = np.concatenate([[0.0], np.clip(begin[1:] - end[:-1], -LONGEST_GAP, LONGEST_GAP)])
    columns = (
        np.log1p(duration),
        np.minimum(speed, FASTEST_SPEECH),
        np.log1p(np.maximum(gap, 0.0)),
        np.log1p(np.maximum(-gap, 0.0)),
    )
    return np.stack(columns, axis=1)
