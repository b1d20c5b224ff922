"""Differences, intervals and p-values as the tables and sentences write them."""

from __future__ import annotations

import math

from tune.report.statistics import Paired


def points(difference: float) -> str:
    """Percentage points with their sign, as the paper rounds."""
    return "–" if math.isnan(difference) else f"{100 * difference:+.2f}"


def interval(test: Paired) -> str:
    """``[-4.10, -0.20]``; a dash where there is none."""
    return "–" if math.isnan(test.low) else f"[{points(test.low)}, {points(test.high)}]"


def probability(p: float) -> str:
    """Four decimals; a dash where nothing was tested."""
    if math.isnan(p):
        return "–"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def tested(test: Paired | None, p: float) -> list[str]:
    """Four cells: difference, interval, corrected p, effect size."""
    if test is None:
        return ["–"] * 4
    effect = "–" if math.isnan(test.effect) else f"{test.effect:.2f}"
    return [points(test.difference), interval(test), probability(p), effect]
