"""Durations as tables and progress show them."""

import math

import pytest

from tune.config.durations import duration, duration_text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3600, "1:00:00"), (7322, "2:02:02")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (48.2, "48 s"),
        (123, "2:03 min"),
        (3599.4, "59:59 min"),
        (3599.6, "1:00:00 h"),
        (3723, "1:02:03 h"),
        (math.nan, "–"),
    ],
)
def test_durations_with_their_unit(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
