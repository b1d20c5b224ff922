"""Whether something that is measured again and again stays flat: the rule of ``benchmarks/soak.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

LIMIT = 0.05
RULE = f"a line through the second half of the trials rises by less than {LIMIT:.0%} of its mean in 100 trials"


@dataclass(frozen=True)
class Trend:
    """A line through the second half.

    Attributes:
        mean: of the values there.
        rise: of the line in 100 trials.
    """

    mean: float
    rise: float

    @property
    def share(self) -> float:
        return self.rise / self.mean if self.mean else 0.0

    @property
    def flat(self) -> bool:
        return self.share < LIMIT


def trend(trials: Sequence[float], values: Sequence[float], total: int) -> Trend:
    """The trend of values that were measured after so many of ``total`` trials.

    Raises:
        ValueError: fewer than three points lie in the second half, or all of them after the same trial.
    """
    half = [(x, y) for x, y in zip(trials, values, strict=True) if x >= total / 2]
    if len({x for x, _ in half}) < 2 or len(half) < 3:
        raise ValueError(f"a trend needs three measurements in the second half of the trials, there are {len(half)}")
    line = linear_regression([x for x, _ in half], [y for _, y in half])
    return Trend(fmean(y for _, y in half), 100 * line.slope)


def table(trends: Mapping[str, Trend]) -> str:
    """The verdicts, in Markdown."""
    rows = [
        f"| {name} | {each.mean:,.1f} | {each.rise:+,.2f} | {each.share:+.1%} | {'flat' if each.flat else 'GROWS'} |"
        for name, each in trends.items()
    ]
    return "\n".join(["| second half | mean | rise in 100 trials | share | verdict |", "|---|---|---|---|---|", *rows])
