"""Random numbers that are functions of what they are for, so that no order of work and no batch changes them."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray


def uniform_bits(seed: int, *numbers: ArrayLike) -> NDArray[np.uint64]:
    """32 random bits per element, a function of seed and numbers alone.

    Args:
        seed: any integer.
        numbers: integers, single ones or arrays of one length [N].

    Returns:
        uint64 [N], each below 2^32.
    """
    state = np.full(1, seed % 2**64, dtype=np.uint64)
    for number in numbers:
        state = _mixed(state ^ _mixed(np.atleast_1d(np.asarray(number)).astype(np.uint64) + np.uint64(1)))
    return state >> np.uint64(32)


def below(bits: NDArray[np.uint64], limits: NDArray[np.int64]) -> NDArray[np.int64]:
    """From 32 bits to a number 0 .. limit - 1, every one equally likely up to limit / 2^32; both [N]."""
    return ((bits * limits.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


def name_bits(name: str) -> np.uint64:
    """64 bits of a name, the same in every process."""
    return np.uint64(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little"))


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of the SplitMix64 generator: every input bit reaches every output bit."""
    z = state + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
