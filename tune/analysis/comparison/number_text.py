"""Differences, intervals and p-values as the tables and sentences write them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dclf.prose import join_words
from tune.analysis.statistics import FEWEST, PairedTest

UNTESTED = f"fewer than {FEWEST} shared seeds, or the same difference in each"
"""Why a difference may have no test."""
_COUNTS = {1: "one", 2: "two"}


def points(difference: float) -> str:
    """Percentage points with their sign, as the paper rounds; without one where they round to zero."""
    if math.isnan(difference):
        return "–"
    text = f"{100 * difference:+.2f}"
    return text[1:] if text[1:] == "0.00" else text


def drop_text(drop: float) -> str:
    """What is lost, in points, as the paper marks it: ``(↓3.70)``, ``(↑0.40)`` for a gain, ``(0.00)`` for neither."""
    text = f"{abs(100 * drop):.2f}"
    return f"({text if text == '0.00' else ('↑' if drop < 0 else '↓') + text})"


def interval(test: PairedTest) -> str:
    """``[-4.10, -0.20]``; a dash where there is none."""
    return "–" if math.isnan(test.low) else f"[{points(test.low)}, {points(test.high)}]"


def probability(p: float) -> str:
    """Four decimals; a dash where nothing was tested."""
    if math.isnan(p):
        return "–"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def effect_size(test: PairedTest) -> str:
    """Two decimals; a dash where nothing was tested."""
    return "–" if math.isnan(test.effect) else f"{test.effect:.2f}"


def seeds_text(count: int) -> str:
    """``one seed``, ``two seeds``, ``3 seeds``."""
    return f"{_COUNTS.get(count, count)} seed{'s' if count > 1 else ''}"


def why_untested(test: PairedTest) -> str:
    """Why a difference has no test; empty where it has one."""
    if test.tested:
        return ""
    if test.count < FEWEST:
        return f"{seeds_text(test.count)}, so nothing can be tested"
    return "the same in every seed, so nothing can be tested"


def few_seeds_warning(seeds: int, where: str = "") -> str:
    """What a reader must know of a study with so many seeds; empty for enough of them.

    Args:
        seeds: of every variant.
        where: names of the studies, if it is not all that the reader sees.
    """
    if seeds >= FEWEST:
        return ""
    which = f"{seeds_text(seeds).capitalize()} per variant{f' in {where}' if where else ''}"
    return (
        f"{which}: differences have no interval, no test and no percentage, which take {seeds_text(FEWEST)}; "
        "a point or two between variants may be chance."
    )


def family_note(tests: Mapping[str, int], score: str) -> str:
    """Which tests the p-values of a table are corrected for, as a sentence.

    Args:
        tests: base model -> how many comparisons were tested.
        score: what was compared, such as ``WF1``.
    """
    counts = set(tests.values())
    most = max(counts, default=0)
    if not most:
        return f"Nothing is tested: {UNTESTED}."
    if most == 1:
        tested = [model for model, count in tests.items() if count]
        if len(tested) == 1:
            which = "the only one"
        else:
            which = f"one for each {'base model' if len(tested) == len(tests) else f'of {join_words(tested)}'}"
        return f"p: two-sided paired t-test of {score}, {which}, so there is nothing to correct for."
    every = f"the {most} tests" if len(counts) == 1 else "all tests"
    models = " for each base model" if len(tests) > 1 else ""
    each = "" if len(counts) == 1 else f" ({', '.join(f'{model} {count}' for model, count in tests.items())})"
    which = f"{every} of {score} that this study has{models}{each}"
    return f"p: two-sided paired t-tests, with Holm's correction over {which}."
