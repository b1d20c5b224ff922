"""Whole numbers out of what files and users give: nothing is cut, rounded or wrapped on the way to an index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_NAMED = 5
"""How many places a message names."""
_BOUNDS = np.iinfo(np.int32)


def whole_number(value: Any, what: str) -> int:
    """The value as an int.

    Args:
        value: what was given.
        what: its name, for the message.

    Raises:
        ValueError: it is none; 2.0 and true are none either.
    """
    if not is_whole(value):
        raise ValueError(f"{what} must be a whole number, is {value!r}")
    return int(value)


def is_whole(value: Any) -> bool:
    """Whether the value is an int of Python or NumPy and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole_numbers(values: Any, what: str) -> NDArray[np.int32]:
    """One row of whole numbers, int32 [n]; floats count where they are whole, as in 2.0.

    Args:
        values: a list or an array.
        what: name of one of them, for the message: ``label``.

    Raises:
        ValueError: names the first places, counted from 0, of what is not whole; truth values, NaN and text never are.
    """
    array = np.asarray(values, dtype=object if _mixes_truth(values) else None)
    if array.ndim != 1:
        raise ValueError(f"{what}s must be one row of whole numbers, have shape {list(array.shape)}")
    wrong = not_whole(array)
    if wrong.size:
        value = array[wrong[0]]
        item = value.item() if isinstance(value, np.generic) else value
        raise ValueError(f"{what}s must be whole numbers, is {item!r} at {places(wrong)}")
    if array.size and not (array.min() >= _BOUNDS.min and array.max() <= _BOUNDS.max):
        raise ValueError(f"{what}s must be whole numbers of 32 bits, go from {array.min()} to {array.max()}")
    return array.astype(np.int32)


def not_whole(array: NDArray[Any]) -> NDArray[np.intp]:
    """Places of a row that hold no whole number."""
    if array.dtype.kind in "iu":
        return np.zeros(0, dtype=np.intp)
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return np.flatnonzero(~(np.isfinite(array) & (array == np.floor(array))))
    return np.array([at for at, value in enumerate(array) if not _whole_or_whole_float(value)], dtype=np.intp)


def places(rows: NDArray[np.intp]) -> str:
    """``utterance 3``, or ``utterances 0, 1, 2, 3, 4 and 7 more``."""
    numbers = ", ".join(str(int(row)) for row in rows[:MOST_NAMED])
    if len(rows) == 1:
        return f"utterance {numbers}"
    return f"utterances {numbers}" + (f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else "")


def _mixes_truth(values: Any) -> bool:
    """Whether NumPy would turn truth values among numbers into numbers."""
    return isinstance(values, list | tuple) and any(isinstance(value, bool | np.bool_) for value in values)


def _whole_or_whole_float(value: Any) -> bool:
    return is_whole(value) or (isinstance(value, float | np.floating) and float(value).is_integer())
