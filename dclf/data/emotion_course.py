"""The emotional course of a generated dialogue, with shares that tests can know.

A speaker keeps the own last emotion, or takes the one last heard from somebody else, or replies to what somebody else
said last, or feels something drawn from the prior of the dialogue's topic. What is said is a remark: one of C, drawn
alike, that knows nothing of the emotion it is said in. With k the topic and v the remark last heard from somebody else,

y_i = own last emotion                with probability keep
      somebody else's last emotion                     take
      replies[k, v]                                    reply
      drawn from the topic's prior                     1 - keep - take - reply, and where there is no such utterance

n  utterances        C  emotions, and remarks        K  topics        y_i  emotion of utterance i
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

FROM_SELF, FROM_OTHER, FROM_PRIOR, FROM_REPLY = 0, 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of utterances by where their emotion comes from; the rest is drawn from the topic's prior.

    Attributes:
        keep: share that keeps the speaker's own last emotion.
        take: share that takes the emotion somebody else showed last.
        reply: share whose emotion replies to what somebody else said last; without it there are no remarks.
    """

    keep: float = KEEP
    take: float = TAKE
    reply: float = 0.0

    @property
    def draw(self) -> float:
        """Share that is drawn from the topic's prior."""
        return max(0.0, 1 - self.keep - self.take - self.reply)

    def with_keep(self, keep: float) -> Rates:
        """The same with another ``keep``; all other shares grow or shrink by one factor."""
        factor = (1 - keep) / (1 - self.keep)
        return Rates(keep=keep, take=self.take * factor, reply=self.reply * factor)


@dataclass(frozen=True, eq=False)
class Course:
    """What happens in a dialogue.

    Attributes:
        speakers: int32 [n].
        labels: int32 [n].
        sources: int8 [n], which of ``FROM_SELF``, ``FROM_OTHER``, ``FROM_PRIOR`` and ``FROM_REPLY`` each emotion is.
        remarks: int64 [n], what is said; None where nobody replies.
    """

    speakers: NDArray[np.int32]
    labels: NDArray[np.int32]
    sources: NDArray[np.int8]
    remarks: NDArray[np.int64] | None = None


def plan_course(
    rng: np.random.Generator,
    length: int,
    voices: int,
    prior: NDArray[np.float64],
    rates: Rates = Rates(),
    replies: NDArray[np.int64] | None = None,
) -> Course:
    """Draw who speaks and what they feel.

    Args:
        rng: source of randomness.
        length: n.
        voices: how many people take part.
        prior: [C], the topic's distribution over emotions.
        rates: shares of keeping, taking and replying.
        replies: [C], the topic's reply to each remark; needed where ``rates.reply`` is not 0.

    Raises:
        ValueError: shares of replies, but no replies.
    """
    if rates.reply and replies is None:
        raise ValueError(f"replies must be given where rates.reply is not 0, but {rates.reply}")
    speakers = _turns(rng, length, voices)
    wishes = rng.choice(4, size=length, p=(rates.keep, rates.take, rates.draw, rates.reply))
    draws = rng.choice(len(prior), size=length, p=prior)
    # Drawn last, and only where they matter: presets without replies give what they gave before there were any.
    remarks = rng.integers(len(prior), size=length) if rates.reply else None
    labels = np.empty(length, dtype=np.int32)
    sources = np.empty(length, dtype=np.int8)
    for i in range(length):
        own, other = _last(speakers[:i] == speakers[i]), _last(speakers[:i] != speakers[i])
        place = {FROM_SELF: own, FROM_OTHER: other, FROM_PRIOR: None, FROM_REPLY: other}[int(wishes[i])]
        sources[i] = FROM_PRIOR if place is None else wishes[i]
        if place is None:
            labels[i] = draws[i]
        elif remarks is not None and replies is not None and wishes[i] == FROM_REPLY:
            labels[i] = replies[remarks[place]]
        else:
            labels[i] = labels[place]
    return Course(speakers, labels, sources, remarks)


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
