"""Paired tests against scipy and against cases by hand; Holm's correction by its definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tune.analysis.statistics import FEWEST, LEVEL, SAME, holm, mean_interval, paired, relative_change

scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12)


@given(scores)
def test_a_paired_test_is_scipys(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = ({seed: pair[side] for seed, pair in enumerate(pairs)} for side in (0, 1))
    test = paired(ours, theirs)
    differences = np.array([a - b for a, b in pairs])
    assert test.count == len(pairs)
    assert test.difference == pytest.approx(differences.mean(), abs=1e-12)
    if np.ptp(differences) <= SAME:
        assert math.isnan(test.p)
        return
    alone = stats.ttest_1samp(differences, 0.0)
    assert test.p == pytest.approx(alone.pvalue, abs=1e-12, nan_ok=True)
    spread = differences.std(ddof=1)
    if spread > 1e-9:
        margin = stats.t.ppf(0.975, len(pairs) - 1) * spread / math.sqrt(len(pairs))
        assert (test.low, test.high) == pytest.approx(
            (differences.mean() - margin, differences.mean() + margin), abs=1e-12
        )
        assert test.effect == pytest.approx(differences.mean() / spread, rel=1e-9)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8), st.integers(0, 8))
def test_fewer_than_three_shared_seeds_have_a_difference_alone(pairs: list[tuple[float, float]], shared: int) -> None:
    """Whatever the scores are, and however many seeds one side has for itself."""
    shared = max(1, min(shared, len(pairs)))
    ours = {seed: pair[0] for seed, pair in enumerate(pairs)}
    theirs = {seed if seed < shared else 100 + seed: pair[1] for seed, pair in enumerate(pairs)}
    test = paired(ours, theirs)
    assert test.count == shared
    numbers = (test.low, test.high, test.p, test.effect)
    assert all(map(math.isnan, numbers)) or all(not math.isnan(number) for number in numbers)
    if shared < FEWEST:
        assert not test.tested
        assert math.isnan(relative_change(ours, theirs))
    if test.tested:
        assert test.low <= test.difference <= test.high
        assert 0 <= test.p <= 1
        assert (test.p < 1 - LEVEL) == (test.low > 0 or test.high < 0) or test.p == pytest.approx(1 - LEVEL)


@given(scores)
def test_the_other_way_round_it_is_the_same_test(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = ({seed: pair[side] for seed, pair in enumerate(pairs)} for side in (0, 1))
    one, other = paired(ours, theirs), paired(theirs, ours).reversed
    for name in ("count", "difference", "low", "high", "p", "effect"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=8), st.floats(-0.5, 0.5))
def test_what_differs_by_rounding_alone_is_the_same(values: list[float], by: float) -> None:
    """In floating point 0.3 - 0.2 is not 0.2 - 0.1, which would be an effect of 1e15."""
    test = paired({s: value + by for s, value in enumerate(values)}, dict(enumerate(values)))
    assert test.difference == pytest.approx(by, abs=1e-12)
    assert not test.tested


shares = st.dictionaries(st.integers(0, 6), st.floats(-0.3, 0.6), min_size=1, max_size=7)


@given(shares, shares)
def test_a_percentage_takes_a_reference_that_is_surely_there(
    values: dict[int, float], reference: dict[int, float]
) -> None:
    shared = sorted(values.keys() & reference.keys())
    change = relative_change(values, reference)
    own, base = (np.array([side[seed] for seed in shared]) for side in (values, reference))
    has_percentage = len(shared) >= FEWEST and np.ptp(base) > SAME and own.mean() >= 0
    has_percentage = has_percentage and stats.ttest_1samp(base, 0.0, alternative="greater").pvalue < (1 - LEVEL) / 2
    assert math.isnan(change) != has_percentage or stats.ttest_1samp(base, 0.0).pvalue == pytest.approx(1 - LEVEL)
    if not math.isnan(change):
        assert change == pytest.approx(own.mean() / base.mean() - 1)
        assert change >= -1


def test_no_percentage_of_a_quarter_of_a_point() -> None:
    """The reference may as well be zero: 410 % of it say nothing."""
    reference = {0: 0.0200, 1: -0.0150, 2: 0.0028}
    assert math.isnan(relative_change({seed: value + 0.0107 for seed, value in reference.items()}, reference))
    assert relative_change({0: 0.09, 1: 0.10, 2: 0.11}, {0: 0.19, 1: 0.20, 2: 0.21}) == pytest.approx(-0.5)


def test_seeds_are_paired_by_number_and_not_by_place() -> None:
    test = paired({3: 0.5, 1: 0.7, 9: 0.1}, {1: 0.6, 3: 0.4, 2: 0.9})
    assert test.count == 2
    assert test.difference == pytest.approx(0.1)


def test_one_seed_has_a_difference_and_no_test() -> None:
    test = paired({0: 0.5}, {0: 0.4})
    assert test.difference == pytest.approx(0.1)
    assert math.isnan(test.p)
    assert math.isnan(test.low)


def test_without_a_shared_seed_there_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match=r"must share a seed, have \[0\] and \[1\]"):
        paired({0: 0.5}, {1: 0.4})


def test_holms_correction_by_hand() -> None:
    # Sorted: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1, none below one before it.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_was_not_tested_does_not_count() -> None:
    p_values = holm([math.nan, 0.02, 0.01])
    assert math.isnan(p_values[0])
    assert p_values[1:] == pytest.approx([0.02, 0.02])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_a_corrected_value_is_never_smaller_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(after >= before for before, after in zip(p_values, corrected, strict=True))
    assert [corrected[k] for k in np.argsort(p_values, kind="stable")] == sorted(corrected)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=8).filter(lambda values: max(values) - min(values) > 1e-3))
def test_the_interval_of_a_mean_is_scipys(values: list[float]) -> None:
    interval = stats.ttest_1samp(values, 0).confidence_interval(LEVEL)
    assert mean_interval(values) == pytest.approx((interval.low, interval.high), abs=1e-12)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5], [0.4, 0.6], [0.5, 0.5, 0.5]])
def test_without_a_spread_of_three_there_is_no_interval(values: list[float]) -> None:
    assert all(map(math.isnan, mean_interval(values)))
