"""What a loss says of a batch: of each anchor, or as the sum and the count that several workers add up.

N   anchors
tau temperature of F(x, y) = exp(cos(x, y) / tau) (eq. 7)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

Denominator = Literal["negatives", "all", "khosla"]
"""Which pairs stand below the fraction bar of a contrast, and whether logarithms are averaged (``context``)."""


@dataclass(frozen=True, eq=False)
class Term:
    """One loss term of one batch.

    Attributes:
        total: scalar, sum over the counted utterances, with gradient.
        count: scalar, how many (or, with class weights, how much weight) that was.
    """

    total: Tensor
    count: Tensor


@dataclass(frozen=True, eq=False)
class AnchorTerms:
    """The loss of every anchor, before any mean, so that several workers can form one mean over all their anchors.

    Attributes:
        values: [N], the anchor's loss; zero where the anchor does not count.
        counted: bool [N], whether the anchor has at least one positive and one negative.
    """

    values: Tensor
    counted: Tensor

    def mean(self) -> Tensor:
        """Mean over the counted anchors; a zero that still has a gradient (zero) when none counts."""
        return self.values.sum() / self.counted.sum().clamp_min(1)


def check_denominator(denominator: str) -> None:
    """Refuse a form of the contrasts that there is not.

    Raises:
        ValueError: it is none of ``Denominator``.
    """
    if denominator not in get_args(Denominator):
        raise ValueError(f"denominator must be one of {', '.join(get_args(Denominator))}, is {denominator!r}")


def check_temperature(temperature: float) -> None:
    """Refuse a temperature with which F is not defined.

    Raises:
        ValueError: tau is not a finite number above 0.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be finite and above 0, is {temperature}; the paper uses 0.07")
