"""A pickle of RoBERTa rows that replaces a feature pickle's text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dclf.data.errors import SourceError
from dclf.data.importers.safe_pickle import read_pickle
from dclf.data.importers.sources import describe, rows_of_numbers


def replacement_text(
    path: str | os.PathLike[str], lengths: Mapping[Any, int]
) -> tuple[dict[Any, Any], dict[str, object]]:
    """The text rows of every dialogue.

    The pickle is a dict from dialogue id to [n, D] rows, or a tuple or list with such dicts among its elements: the
    widest is taken, so that one-hot speakers are not mistaken for text, and of equally wide ones the first.

    Args:
        path: the pickle.
        lengths: dialogue id -> n, the dialogues it must cover.

    Returns:
        Dialogue id -> rows, and what was taken, for the provenance.

    Raises:
        SourceError: no such dict, dialogues without rows, or as many rows as utterances nowhere.
        UnsafePickleError: see ``read_pickle``.
    """
    content = read_pickle(os.fspath(path))
    found = list(_candidates(content, next(iter(lengths))))
    if not found:
        raise SourceError(
            f"{os.fspath(path)}: holds no dict from dialogue id to rows of numbers that knows dialogue "
            f"{next(iter(lengths))!r}; give the pickle of per-utterance features of the same dialogues"
        )
    width, element = max(found, key=lambda candidate: candidate[0])
    rows = content if element is None else content[element]
    _refuse_gaps(os.fspath(path), rows, lengths)
    return rows, {**describe(path), "element": element, "width": width}


def _candidates(content: Any, name: Any) -> Iterator[tuple[int, int | None]]:
    """Width and place of each element that maps this dialogue to rows of numbers; place None for the whole pickle."""
    elements = list(enumerate(content)) if isinstance(content, (tuple, list)) else [(None, content)]
    for place, element in elements:
        if isinstance(element, dict) and name in element and (width := _width(element[name])):
            yield width, place


def _width(rows: Any) -> int:
    try:
        shape = np.asarray(rows, dtype=np.float32).shape
    except (TypeError, ValueError):
        return 0
    return shape[1] if len(shape) == 2 else 0


def _refuse_gaps(path: str, rows: Mapping[Any, Any], lengths: Mapping[Any, int]) -> None:
    lacking = [name for name in lengths if name not in rows]
    if lacking:
        raise SourceError(f"{path}: has no text rows for {len(lacking)} dialogues, such as {lacking[0]!r}")
    for name, count in lengths.items():
        found = len(rows_of_numbers(rows[name], f"{path}, dialogue {name!r}"))
        if found != count:
            raise SourceError(f"{path}: dialogue {name!r} has {found} text rows for {count} utterances")
