"""Checks that the base models' Config classes share."""

from __future__ import annotations

from numbers import Real
from typing import Any

from dclf.data.whole_numbers import is_whole


def require(holds: bool, field: str, must: str, value: object) -> None:
    """Raise ValueError that names the field, what must hold and what came instead."""
    if not holds:
        raise ValueError(f"{field} must be {must}, is {value!r}")


def require_size(**sizes: int) -> None:
    """Every width or count is a whole number of at least 1."""
    for field, value in sizes.items():
        require(is_whole(value) and value >= 1, field, "a whole number of 1 or more", value)


def require_rate(**rates: Any) -> None:
    """Every dropout rate lies in [0, 1)."""
    for field, value in rates.items():
        number = isinstance(value, Real) and not isinstance(value, bool)
        require(number and 0 <= value < 1, field, "a number in [0, 1)", value)


def require_window(past: int, future: int) -> None:
    """At least one earlier utterance, and later ones or none."""
    for field, value, least in (("past", past, 1), ("future", future, 0)):
        require(is_whole(value) and value >= least, field, f"a whole number of {least} or more", value)
