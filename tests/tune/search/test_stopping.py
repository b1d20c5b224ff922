"""When a sweep ends."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune.config.durations import parse_duration
from tune.config.sweep_settings import SweepSettings
from tune.search.stopping import StopRule


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90min", 5400), ("12h", 43200), ("1h30min", 5400), ("1h 30m", 5400), ("45s", 45), ("1.5h", 5400), ("2d", 172800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "h", "1h30", "soon", "1h and 2min", "-1h", "0s", "1e3s", f"{'9' * 400}h"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_duration(text)


@given(hours=st.integers(0, 99), minutes=st.integers(0, 59), seconds=st.integers(1, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}h{minutes}min{seconds}s") == hours * 3600 + minutes * 60 + seconds


def test_a_budget_of_trials() -> None:
    rule = StopRule(SweepSettings(trials=5))
    assert rule.reason([], 1e9, 4) is None
    assert rule.reason([], 0, 5) == "all 5 trials are created"


def test_a_budget_of_time() -> None:
    rule = StopRule(SweepSettings(trials=0, time="1min"))
    assert rule.reason([0.5] * 1000, 59.9, 1000) is None
    assert rule.reason([], 60, 0) == "the time of 1min is up"


def test_both_budgets_and_a_grid() -> None:
    assert StopRule(SweepSettings(trials=5, time="1h")).reason([], 10, 5) == "all 5 trials are created"
    assert StopRule(SweepSettings(trials=5, time="1h")).reason([], 3600, 4) == "the time of 1h is up"
    grid = StopRule(SweepSettings(trials=0, sampler="grid"), size=12)
    assert grid.reason([], 1e9, 11) is None
    assert grid.reason([], 0, 12) == "all 12 combinations are created"


@pytest.mark.parametrize(("direction", "short", "reached"), [("maximize", 0.69, 0.7), ("minimize", 0.71, 0.7)])
def test_a_goal(direction: str, short: float, reached: float) -> None:
    rule = StopRule(SweepSettings(stop_at=0.7, objectives={"wf1": direction}))
    assert rule.reason([short, math.nan], 0, 2) is None
    assert rule.reason([short, reached], 0, 2) == "a trial reached 0.7, the goal was 0.7"


def test_no_better_trial() -> None:
    rule = StopRule(SweepSettings(stop_after=3))
    assert rule.reason([0.1, 0.5, 0.2, 0.3], 0, 4) is None
    assert rule.reason([0.1, 0.5, 0.2, 0.3, 0.5], 0, 5) == "no better trial among the last 3"
    assert rule.reason([0.5, 0.2, math.nan, 0.6], 0, 4) is None
    assert rule.reason([math.nan] * 3, 0, 3) == "no better trial among the last 3"
    falling = StopRule(SweepSettings(stop_after=2, objectives={"wf1": "minimize"}))
    assert falling.reason([0.5, 0.4, 0.3], 0, 3) is None
    assert falling.reason([0.3, 0.4, 0.5], 0, 3) == "no better trial among the last 2"


@given(values=st.lists(st.floats(0, 1)), after=st.integers(1, 5))
def test_the_count_starts_again_with_every_better_trial(values: list[float], after: int) -> None:
    since, best = 0, -1.0
    for value in values:
        since, best = (0, value) if value > best else (since + 1, best)
    reason = StopRule(SweepSettings(trials=1000, stop_after=after)).reason(values, 0, len(values))
    assert (reason is not None) == (since >= after)
