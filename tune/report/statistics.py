"""Paired comparisons over shared seeds, as papers report them.

n     seeds that both sides have        d_s   difference of the two scores with seed s
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tune.report.scores import deviation

LEVEL = 0.95
"""Of the confidence interval."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """One side against the other, seed by seed.

    Attributes:
        count: n.
        difference: mean of d_s.
        low: lower end of the mean's 95 % confidence interval, by Student's t; NaN for fewer than two seeds.
        high: upper end.
        p: of the two-sided paired t-test; NaN for fewer than two seeds or where no difference is to be seen.
        effect: Cohen's d_z, the mean of d_s over its sample deviation; NaN where there is none.
    """

    count: int
    difference: float
    low: float
    high: float
    p: float
    effect: float


def paired(values: Mapping[int, float], reference: Mapping[int, float]) -> Paired:
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
    if len(seeds) < 2 or max(differences) == min(differences):
        return Paired(count=len(seeds), difference=mean, low=math.nan, high=math.nan, p=math.nan, effect=math.nan)
    test = stats.ttest_rel([values[seed] for seed in seeds], [reference[seed] for seed in seeds])
    interval = test.confidence_interval(LEVEL)
    return Paired(
        count=len(seeds),
        difference=mean,
        low=float(interval.low),
        high=float(interval.high),
        p=float(test.pvalue),
        effect=float(test.statistic) / math.sqrt(len(seeds)),
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % confidence interval of a mean, by Student's t; NaN for fewer than two values or where all are equal."""
    # Imported here, as above.
    from scipy import stats  # noqa: PLC0415

    spread = deviation(values)
    if math.isnan(spread) or spread == 0:
        return math.nan, math.nan
    mean, error = math.fsum(values) / len(values), spread / math.sqrt(len(values))
    low, high = stats.t.interval(LEVEL, len(values) - 1, loc=mean, scale=error)
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the order given; NaN stays NaN and is no test."""
    tested = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        corrected[place] = highest
    return corrected
