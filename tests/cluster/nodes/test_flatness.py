"""The rule by which ``benchmarks/soak.py`` calls a figure flat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.flatness import table, trend

TRIALS = list(range(0, 201, 10))


@given(start=st.floats(50, 500), noise=st.lists(st.floats(-1, 1), min_size=21, max_size=21))
def test_what_only_trembles_is_flat(start: float, noise: list[float]) -> None:
    assert trend(TRIALS, [start + each / 100 * start for each in noise], 200).flat


@given(start=st.floats(50, 500), share=st.floats(0.06, 2))
def test_what_grows_by_more_than_a_twentieth_in_a_hundred_trials_is_not(start: float, share: float) -> None:
    growth = trend(TRIALS, [start * (1 + share * 2 * (trials - 150) / 200) for trials in TRIALS], 200)
    assert growth.share == pytest.approx(share)
    assert not growth.flat
    assert "GROWS" in table({"memory": growth})


def test_growth_before_the_second_half_does_not_count() -> None:
    assert trend(TRIALS, [min(trials, 100) for trials in TRIALS], 200).rise == pytest.approx(0)


def test_too_few_measurements_are_no_trend() -> None:
    with pytest.raises(ValueError, match="three measurements"):
        trend([10, 190], [1.0, 2.0], 200)
