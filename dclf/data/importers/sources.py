"""What the importers share: where data came from, which dialogues are held out, and rows of numbers."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import SPLITS
from dclf.data.errors import DataError, SourceError, UnsafePickleError
from dclf.data.whole_numbers import whole_number
from dclf.errors import WrongInputError

PathLike = str | os.PathLike[str]
_Key = TypeVar("_Key")
_Content = TypeVar("_Content")


def describe(path: PathLike) -> dict[str, object]:
    """Name and SHA-256 of a source file, for the provenance; SourceError where it cannot be read."""
    file = Path(path)
    try:
        with file.open("rb") as stream:
            return {"file": file.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error}); check the path") from error


def read_each(keys: Iterable[_Key], read: Callable[[_Key], _Content]) -> dict[_Key, _Content]:
    """Key -> what is read of it.

    Raises:
        SourceError, DataError, UnsafePickleError: one cannot be read; where several cannot, a SourceError with what
            each of them lacks.
    """
    contents, errors = {}, []
    for key in keys:
        try:
            contents[key] = read(key)
        except (SourceError, DataError, UnsafePickleError) as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SourceError("\n".join(map(str, errors)))
    return contents


def natural_order(names: Sequence[Any]) -> list[Any]:
    """Sorted with numbers by value, so that the order does not depend on how the source stored its ids."""
    return sorted(names, key=lambda name: [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in _pieces(name)])


def _pieces(name: Any) -> list[str]:
    return [piece for piece in re.split(r"(\d+)", str(name)) if piece]


def hold_out(train: Sequence[Any], count: int, seed: int) -> list[Any]:
    """Draw the validation dialogues from the training ones.

    Raises:
        WrongInputError: either would be empty, or the seed is below 0.
    """
    if whole_number(seed, "seed") < 0:
        raise WrongInputError(f"seed must be 0 or more, is {seed}")
    if not 1 <= whole_number(count, "val_dialogues") < len(train):
        raise WrongInputError(
            f"val_dialogues must be between 1 and {len(train) - 1} (there are {len(train)} training dialogues), "
            f"is {count}"
        )
    ordered = natural_order(train)
    places = np.random.default_rng(seed).choice(len(ordered), size=count, replace=False)
    return [ordered[place] for place in sorted(places)]


def refuse_empty_splits(splits: Mapping[str, Sequence[Any]], source: str) -> None:
    """DataError names every split without dialogues."""
    empty = [split for split in SPLITS if not splits[split]]
    if empty:
        remedy = "training needs all three splits, move some dialogues there"
        raise DataError(
            [f"the {split} split is empty: the source lists no dialogue for it; {remedy}" for split in empty], source
        )


def length_of(value: Any) -> int | None:
    """How many items a value has; None where it has none to count, such as a number or an array of one alone."""
    if isinstance(value, np.ndarray):
        return len(value) if value.ndim else None
    return len(value) if hasattr(value, "__len__") else None


def items_of(value: Any) -> list[Any]:
    """The items of a list or an array; none of a value that has none to count."""
    return list(value) if length_of(value) else []


def without_objects(value: Any) -> Any:
    """An array of objects, such as of vectors, as the list that it stands for; whatever else as it is."""
    return list(value) if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == object else value


def as_float32(values: Any) -> NDArray[np.float32]:
    """Numbers as shards hold them; what lies beyond their range becomes infinity, which the validation tells.

    Raises:
        TypeError, ValueError: they are no numbers.
    """
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def rows_of_numbers(value: Any, what: str) -> NDArray[np.float32]:
    """A matrix float32 [n, D]; SourceError says what is not one."""
    try:
        matrix = as_float32(without_objects(value))
    except (TypeError, ValueError) as error:
        raise SourceError(f"{what}: must be rows of numbers, all equally wide ({error})") from error
    if matrix.ndim != 2:
        raise SourceError(f"{what}: must be rows of numbers [n, D], have shape {list(matrix.shape)}")
    return matrix


def read_ids(path: PathLike) -> list[str]:
    """The dialogue ids of a text file, one a line."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{os.fspath(path)}: cannot be read ({error}); give a text file with an id a line") from error
    return [line.strip() for line in lines if line.strip()]
