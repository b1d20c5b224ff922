"""The emotional course of a generated dialogue, with shares that tests can know.

A speaker keeps the own last emotion, or takes the one last heard from somebody else, or feels something drawn from
the prior of the dialogue's topic; the same goes for who speaks.

n  utterances        C  emotions        K  topics
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEEP = 0.68
"""Share of utterances that keep the speaker's own last emotion."""
TAKE = 0.14
"""Share of utterances that take the emotion somebody else showed last."""
ANSWER = 0.75
"""Probability that the next utterance is somebody else's."""

KEPT, TAKEN, DRAWN = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Course:
    """What happens in a dialogue.

    Attributes:
        speakers: int32 [n].
        labels: int32 [n].
        sources: int8 [n], where each emotion came from: ``KEPT``, ``TAKEN`` or ``DRAWN``.
    """

    speakers: NDArray[np.int32]
    labels: NDArray[np.int32]
    sources: NDArray[np.int8]


def plan_course(rng: np.random.Generator, length: int, voices: int, prior: NDArray[np.float64]) -> Course:
    """Draw who speaks and what they feel.

    Args:
        rng: source of randomness.
        length: n.
        voices: how many people take part.
        prior: [C], the topic's distribution over emotions.
    """
    speakers = _turns(rng, length, voices)
    wishes = rng.choice(3, size=length, p=(KEEP, TAKE, 1 - KEEP - TAKE))
    draws = rng.choice(len(prior), size=length, p=prior)
    labels = np.empty(length, dtype=np.int32)
    sources = np.empty(length, dtype=np.int8)
    for i in range(length):
        earlier = {KEPT: _last(speakers[:i] == speakers[i]), TAKEN: _last(speakers[:i] != speakers[i]), DRAWN: None}
        place = earlier[int(wishes[i])]
        sources[i] = DRAWN if place is None else wishes[i]
        labels[i] = draws[i] if place is None else labels[place]
    return Course(speakers, labels, sources)


def _turns(rng: np.random.Generator, length: int, voices: int) -> NDArray[np.int32]:
    # A step of 0 stays with the speaker, any other goes to one of the rest; numbered by first appearance.
    answers = rng.random(length) < ANSWER
    steps = rng.integers(1, max(2, voices), size=length) * (answers & (voices > 1))
    raw = np.cumsum(steps) % voices
    _, first = np.unique(raw, return_index=True)
    rank = {int(raw[place]): order for order, place in enumerate(np.sort(first))}
    return np.array([rank[int(speaker)] for speaker in raw], dtype=np.int32)


def _last(matches: NDArray[np.bool_]) -> int | None:
    places = np.flatnonzero(matches)
    return int(places[-1]) if places.size else None
