"""Missing and noisy modalities with fixed masks, beyond the paper: what a model loses when its features do.

T  utterances        D_m  width of modality m
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import MODALITIES
from dclf.data.statistics import FeatureMoments
from dclf.data.whole_numbers import whole_number
from dclf.perturb.conversations import Conversations
from dclf.random_bits import name_bits, uniform_bits

Damage = Literal["missing", "noise"]
SHARES = tuple(percent / 100 for percent in range(10, 100, 10))
"""The shares of the suite: 10 to 90 %."""


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """Which utterances lose which modality, and how.

    Attributes:
        damage: ``missing``: features become the training mean, which the model's standardisation turns into zeros;
            ``noise``: Gaussian noise is added to them.
        modalities: those that are hit, each by a mask of its own.
        share: chance of every utterance to be hit, 0 to 1. The utterances hit by a smaller share are among those of a
            greater one with the same seed.
        seed: of masks and noise.
        strength: deviation of the noise, in training deviations of each column.
    """

    damage: Damage
    modalities: tuple[str, ...]
    share: float
    seed: int = 0
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.damage not in get_args(Damage):
            raise ValueError(f"damage must be one of {', '.join(get_args(Damage))}, is {self.damage!r}")
        if not self.modalities or not set(self.modalities) <= set(MODALITIES):
            raise ValueError(f"modalities must be some of {', '.join(MODALITIES)}, are {self.modalities}")
        whole_number(self.seed, "seed")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must lie in 0 .. 1, is {self.share}")
        if not 0 <= self.strength < float("inf"):
            raise ValueError(f"strength must be a finite number, 0 or more, is {self.strength}")

    def apply(self, conversations: Conversations, moments: FeatureMoments) -> Conversations:
        """A damaged copy; what is not hit keeps its values to the bit.

        Args:
            conversations: with the modalities that are hit.
            moments: mean and deviation of the training split's features.

        Raises:
            ValueError: the conversations lack a modality.
        """
        lacking = [m for m in self.modalities if m not in conversations.features]
        if lacking:
            raise ValueError(
                f"the conversations must have the modalities to damage, lack {', '.join(lacking)}; choose among "
                f"{', '.join(conversations.features)}"
            )
        damaged = {m: self._damaged(conversations, m, moments) for m in self.modalities}
        return replace(conversations, features={**conversations.features, **damaged})

    def _damaged(self, conversations: Conversations, modality: str, moments: FeatureMoments) -> NDArray[np.float32]:
        hit = utterance_mask(conversations, modality, self.share, self.seed)
        rows = conversations.features[modality].copy()
        if self.damage == "missing":
            rows[hit] = moments.mean[modality]
        else:
            deviation = (self.strength * moments.std[modality]).astype(np.float32)
            rows[hit] += deviation * _noise(conversations, modality, self.seed)[hit]
        return rows


def utterance_mask(conversations: Conversations, modality: str, share: float, seed: int) -> NDArray[np.bool_]:
    """Which utterances lose a modality, bool [T]: a function of seed, modality, dialogue id and position alone."""
    names = np.array([name_bits(name) for name in conversations.dialogue_ids], dtype=np.uint64)
    bits = uniform_bits(seed, name_bits(modality), names[conversations.dialogue_of], conversations.time)
    return bits < share * 2.0**32


def corruptions(
    modalities: Sequence[str], *, shares: Sequence[float] = SHARES, seed: int = 0, strength: float = 1.0
) -> list[Corruption]:
    """The suite: each modality alone, missing and noisy, at every share."""
    return [
        Corruption(damage=damage, modalities=(modality,), share=share, seed=seed, strength=strength)
        for damage in get_args(Damage)
        for modality in modalities
        for share in shares
    ]


def _noise(conversations: Conversations, modality: str, seed: int) -> NDArray[np.float32]:
    """Standard normal float32 [T, D_m], drawn per dialogue, so that no other dialogue changes it."""
    noise = np.empty_like(conversations.features[modality])
    for name, start, length in zip(
        conversations.dialogue_ids, conversations.offsets, conversations.lengths, strict=True
    ):
        random = np.random.default_rng([seed % 2**64, int(name_bits(modality)), int(name_bits(name))])
        random.standard_normal(out=noise[start : start + length], dtype=np.float32)
    return noise
