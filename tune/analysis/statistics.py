"""Paired comparisons over shared seeds, as papers report them, and from how many seeds on they say anything.

n     seeds that both sides have        d_s   difference of the two scores with seed s

The rule for tables, sentences, JSON and figures stands here, and nowhere else: with fewer than ``FEWEST`` seeds a
difference has neither interval nor test nor effect size, and no change is told in percent. What is not told is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tune.study.scores import deviation

LEVEL = 0.95
"""Of the confidence interval."""
FEWEST = 3
"""Seeds that an interval, a test or a percentage takes. Student's t for two has a single degree of freedom: intervals
ten times as wide as the deviation, and effect sizes without bounds."""
SAME = 1e-12
"""Differences in scores that are closer than this are the same; floating point parts what is equal by some 1e-16."""


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """One side against the other, seed by seed.

    Attributes:
        count: n.
        difference: mean of d_s.
        low: lower end of the mean's 95 % confidence interval, by Student's t; NaN where nothing is tested.
        high: upper end.
        p: of the two-sided paired t-test; NaN for fewer than ``FEWEST`` seeds, or where d_s is the same in every seed.
        effect: Cohen's d_z, the mean of d_s over its sample deviation; NaN where nothing is tested.
    """

    count: int
    difference: float
    low: float
    high: float
    p: float
    effect: float

    @property
    def tested(self) -> bool:
        """Whether there is an interval and a p-value."""
        return not math.isnan(self.p)

    @property
    def reversed(self) -> PairedTest:
        """The other side against the one: the same test."""
        return PairedTest(
            count=self.count,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            p=self.p,
            effect=-self.effect,
        )


def paired(values: Mapping[int, float], reference: Mapping[int, float]) -> PairedTest:
    """Compare the scores of two configurations by the seeds that both have.

    Args:
        values: seed -> score.
        reference: seed -> score of what it is compared with.

    Raises:
        ValueError: they share no seed.
    """
    # Imported here: only reports need it, and it takes half a second.
    from scipy import stats  # noqa: PLC0415

    seeds = sorted(values.keys() & reference.keys())
    if not seeds:
        raise ValueError(f"both sides must share a seed, have {sorted(values)} and {sorted(reference)}")
    differences = [values[seed] - reference[seed] for seed in seeds]
    mean = math.fsum(differences) / len(seeds)
    if len(seeds) < FEWEST or _all_same(differences):
        return PairedTest(count=len(seeds), difference=mean, low=math.nan, high=math.nan, p=math.nan, effect=math.nan)
    test = stats.ttest_rel([values[seed] for seed in seeds], [reference[seed] for seed in seeds])
    interval = test.confidence_interval(LEVEL)
    return PairedTest(
        count=len(seeds),
        difference=mean,
        low=float(interval.low),
        high=float(interval.high),
        p=float(test.pvalue),
        effect=float(test.statistic) / math.sqrt(len(seeds)),
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % confidence interval of a mean, by Student's t; NaN for fewer than ``FEWEST`` or all-equal values."""
    # Imported here: it takes half a second.
    from scipy import stats  # noqa: PLC0415

    if len(values) < FEWEST or _all_same(values):
        return math.nan, math.nan
    mean, error = math.fsum(values) / len(values), deviation(values) / math.sqrt(len(values))
    low, high = stats.t.interval(LEVEL, len(values) - 1, loc=mean, scale=error)
    return float(low), float(high)


def relative_change(values: Mapping[int, float], reference: Mapping[int, float]) -> float:
    """By which share of the reference's mean the other mean is larger, over the seeds that both have.

    NaN unless the reference is a positive quantity beyond its own uncertainty: the 95 % interval of its mean lies above
    zero, which takes ``FEWEST`` seeds. A share of what may be zero says nothing. NaN too where the other mean is
    negative: more than all of it cannot be lost.
    """
    seeds = sorted(values.keys() & reference.keys())
    low, _ = mean_interval([reference[seed] for seed in seeds])
    if not low > 0:
        return math.nan
    mean, base = (math.fsum(side[seed] for seed in seeds) / len(seeds) for side in (values, reference))
    return math.nan if mean < 0 else mean / base - 1


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the order given; NaN stays NaN and is no test."""
    tested = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        corrected[place] = highest
    return corrected


def _all_same(values: Sequence[float]) -> bool:
    return max(values) - min(values) <= SAME
