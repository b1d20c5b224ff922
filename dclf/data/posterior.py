"""What a listener who knows the generator believes of each emotion, from all that was heard so far.

The generator (``dclf.data.generator``, ``dclf.data.emotion_course``) is known in full: the shares, the world, the
noise. Unknown are the topic, the emotions, the remarks, which modality shows the emotion, and the speakers' offsets. A
hypothesis is one choice of all but the offsets, up to the utterance before; given it, offsets are normal and integrated
in closed form. With a the speaker of utterance i, one modality m, and features rotated and scaled so that noise is of
deviation 1,

t_i           = U' (W W')^-1 W x_i / sigma          sufficient for z_i; W W' = U diag(l) U', sigma^2 = 1 + 0.3^2 / l
mu_i(h, y, v) = s E[y] + [m is text] (T[k] + Q[v])  in the same coordinates
o_a | h       ~ N(beta r_a, beta)                   r_a the sum of t_j - mu_j over a's n_a earlier utterances
                                                    beta = 1 / (1 / (0.5^2 / sigma^2) + n_a), per axis
t_i | h, y, v ~ N(mu_i + beta r_a, 1 + beta)
P(y_i = y | h)  the four shares of ``dclf.data.emotion_course``, given the emotions and remarks of h
P(y_i = y | x_1..x_i, speakers)  ~  sum over h, v, s of w_h P(y | h) / V prod_m P(s^m) p(t_i^m | h, y, v)

Every hypothesis has C V 2^M successors, so all are followed only while there are at most ``limit``. Beyond that they
are thinned as by Fearnhead and Clifford (2003): the heavy ones stay as they are, of the light ones some are drawn and
share the weight of all, so that every weight keeps its expectation. As the limit grows the result becomes exact.

n  utterances        C  emotions        K  topics        R  latent width of m        h  hypothesis, H of them
D  width of m        V  remarks: C, or 1 without replies        M  modalities        w_h  its probability
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import Dialogue
from dclf.data.emotion_course import Rates
from dclf.data.generator import FLOOR_NOISE, SPEAKER_STRENGTH, TOPICS, World

LIMIT = 300
"""Hypotheses that are followed."""

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


def emotion_posteriors(
    world: World,
    rates: Rates,
    carries: Mapping[str, float],
    dialogue: Dialogue,
    *,
    limit: int = LIMIT,
    hears_words: bool = True,
) -> Array:
    """The probability of each emotion given the utterances up to and with its own.

    Args:
        world: what the dialogue was made from.
        rates: the shares that the listener takes for true.
        carries: modality -> share of utterances whose features show the emotion.
        dialogue: features in at least one modality, speakers; its labels are not read.
        limit: hypotheses that are followed.
        hears_words: False for a listener who does not know which remark a reply is to.

    Returns:
        [n, C], rows sum to 1.
    """
    rng = np.random.default_rng(0)  # draws which light hypotheses stay
    views = [_View.of(world, modality, carries[modality], rates, dialogue) for modality in dialogue.features]
    beliefs = _Beliefs.at_the_start(views, int(dialogue.speakers.max()) + 1)
    rows, heard = [], list[int]()
    for i, speaker in enumerate(dialogue.speakers.tolist()):
        own = speaker if speaker in heard else None
        other = next((voice for voice in reversed(heard) if voice != speaker), None)
        prior = beliefs.prior(world, rates, own, other, hears_words)
        joint = beliefs.joint(i, speaker, heard.count(speaker), prior, views)
        rows.append(joint.sum(axis=(0, *range(2, joint.ndim))))
        beliefs = beliefs.after(i, speaker, joint, views, limit, rng)
        heard.append(speaker)
    return np.stack(rows)


@dataclass(frozen=True, eq=False)
class _View:
    """One modality of the dialogue in coordinates where noise is of deviation 1.

    Attributes:
        rows: [n, R], t.
        means: [V, 2, C, R], mu without the topic, the second axis s; V is 1 but for text.
        topics: [K, R], zero but for text.
        offsets: [R], variance of a speaker's offset.
        carries: probability that the emotion shows.
    """

    rows: Array
    means: Array
    topics: Array
    offsets: Array
    carries: float

    @classmethod
    def of(cls, world: World, modality: str, carries: float, rates: Rates, dialogue: Dialogue) -> _View:
        mixing = world.mixing[modality].astype(np.float64)
        spread, rotation = np.linalg.eigh(mixing @ mixing.T)
        noise = 1 + FLOOR_NOISE**2 / spread
        turn = rotation / np.sqrt(noise)
        text = modality == "text"
        words = world.remarks @ turn if text and rates.reply else np.zeros((1, len(mixing)))
        emotions = world.emotions[modality] @ turn
        return cls(
            rows=dialogue.features[modality].astype(np.float64) @ (mixing.T @ (turn / spread)),
            means=words[:, None, None] + np.stack([np.zeros_like(emotions), emotions]),
            topics=world.topics @ turn if text else np.zeros((TOPICS, len(mixing))),
            offsets=SPEAKER_STRENGTH**2 / noise,
            carries=carries,
        )

    def evidence(self, i: int, topics: Whole, sums: Array, earlier: int) -> Array:
        """Logarithm of P(s) p(t_i | h, y, v) up to a constant.

        Args:
            i: the utterance.
            topics: [H].
            sums: [H, R], r of its speaker.
            earlier: utterances of that speaker before it.

        Returns:
            [H, C, V, 2], the last axis s.
        """
        beta = 1 / (1 / self.offsets + earlier)
        precision = 1 / (1 + beta)
        rest = self.rows[i] - self.topics[topics] - beta * sums
        means = self.means.reshape(-1, len(beta))
        squares = (rest**2 @ precision)[:, None] - 2 * rest @ (precision * means).T + means**2 @ precision
        logarithms = -squares.reshape(len(rest), *self.means.shape[:-1]) / 2
        shares = np.log([1 - self.carries, self.carries])
        evidence: Array = np.moveaxis(logarithms, 3, 1) + shares
        return evidence

    def residuals(self, i: int, topics: Whole, labels: Whole, remarks: Whole, signal: Whole) -> Array:
        """t_i - mu_i, [H, R]."""
        words = remarks if len(self.means) > 1 else np.zeros_like(remarks)
        residuals: Array = self.rows[i] - self.topics[topics] - self.means[words, signal, labels]
        return residuals


@dataclass(frozen=True, eq=False)
class _Beliefs:
    """The hypotheses after some utterances. S is the number of speakers; those not heard yet have zeros.

    Attributes:
        weights: [H], sum 1.
        topics: [H].
        labels: [H, S], each speaker's last emotion.
        remarks: [H, S], each speaker's last remark.
        sums: for each view [H, S, R], r.
    """

    weights: Array
    topics: Whole
    labels: Whole
    remarks: Whole
    sums: tuple[Array, ...]

    @classmethod
    def at_the_start(cls, views: Sequence[_View], speakers: int) -> _Beliefs:
        nothing = np.zeros((TOPICS, speakers), dtype=np.int64)
        sums = tuple(np.zeros((TOPICS, speakers, len(view.offsets))) for view in views)
        return cls(np.full(TOPICS, 1 / TOPICS), np.arange(TOPICS), nothing, nothing, sums)

    def prior(self, world: World, rates: Rates, own: int | None, other: int | None, hears_words: bool) -> Array:
        """P(y | h), [H, C], with the speaker where there is an own last emotion, and who else was heard last."""
        emotions = np.eye(world.priors.shape[1])
        prior = np.zeros((len(self.weights), len(emotions)))
        if own is not None:
            prior += rates.keep * emotions[self.labels[:, own]]
        if other is not None:
            prior += rates.take * emotions[self.labels[:, other]]
            # Each emotion replies to one remark: to whom the remark is unknown all are alike.
            replies = emotions[world.replies[self.topics, self.remarks[:, other]]] if hears_words else emotions.mean(0)
            prior += rates.reply * replies
        prior += (1 - prior.sum(axis=1, keepdims=True)) * world.priors[self.topics]
        return prior

    def joint(self, i: int, speaker: int, earlier: int, prior: Array, views: Sequence[_View]) -> Array:
        """The probability of every successor, [H, C, V, 2, .., 2] with an s for each view; sums to 1."""
        with np.errstate(divide="ignore"):
            logarithms = np.log(self.weights[:, None] * prior)[:, :, None]
        for view, sums in zip(views, self.sums, strict=True):
            evidence = view.evidence(i, self.topics, sums[:, speaker], earlier)
            dimensions = logarithms.ndim - 3
            logarithms = logarithms[..., None] + evidence.reshape(*evidence.shape[:3], *[1] * dimensions, 2)
        joint = np.exp(logarithms - logarithms.max())
        joint /= joint.sum()
        return np.asarray(joint)

    def after(
        self, i: int, speaker: int, joint: Array, views: Sequence[_View], limit: int, rng: np.random.Generator
    ) -> _Beliefs:
        """The successors that are followed."""
        places, weights = thinned(joint.ravel(), limit, rng)
        parents, emotions, words, *signals = np.unravel_index(places, joint.shape)
        topics = self.topics[parents]
        labels, remarks = self.labels[parents], self.remarks[parents]
        labels[:, speaker], remarks[:, speaker] = emotions, words
        sums = tuple(own[parents] for own in self.sums)
        for view, own, signal in zip(views, sums, signals, strict=True):
            own[:, speaker] += view.residuals(i, topics, emotions, words, signal)
        return _Beliefs(weights / weights.sum(), topics, labels, remarks, sums)


def thinned(weights: Array, limit: int, rng: np.random.Generator) -> tuple[Whole, Array]:
    """At most ``limit`` of the weights, each with its expectation kept.

    The k heaviest stay, k the least for which the next is no heavier than the share (sum of the rest) / (limit - k); of
    the rest limit - k are drawn, each with probability weight / share, and weigh the share.

    Args:
        weights: [N], 0 or more; those of 0 go.
        limit: how many may stay, at least 1.
        rng: draws among the light.

    Returns:
        The places of those that stay, and their new weights.
    """
    if len(weights) <= limit or np.count_nonzero(weights) <= limit:
        places = np.flatnonzero(weights)
        return places, weights[places]
    heaviest = np.argpartition(weights, -limit)[-limit:]
    heaviest = heaviest[np.argsort(-weights[heaviest])]
    tops = weights[heaviest]
    shares = (weights.sum() - np.cumsum(tops) + tops) / (limit - np.arange(limit))
    heavy = int(np.argmax(tops <= shares * (1 + 1e-9)))
    light = weights.copy()
    light[heaviest[:heavy]] = 0
    steps = np.floor(np.cumsum(light) / shares[heavy] + rng.random())
    drawn = np.flatnonzero(np.diff(steps, prepend=0))
    places = np.concatenate([heaviest[:heavy], drawn])
    return places, np.concatenate([tops[:heavy], np.full(len(drawn), shares[heavy])])
