"""A pickle of RoBERTa rows that replaces a feature pickle's text.

Programs publish such rows alone, as a dict from dialogue id to [n, D] rows, or among other things in a tuple or list:
speakers, labels, several layers of RoBERTa, audio, visual. Elements are counted from 0, as Python counts them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.errors import SourceError
from dclf.data.importers.safe_pickle import read_pickle
from dclf.data.importers.sources import describe, rows_of_numbers
from dclf.data.whole_numbers import is_whole

NEVER_TEXT = {
    1582: "openSMILE's IS10 set, audio of IEMOCAP",
    1611: "audio of MELD's authors",
    342: "DenseNet's rows, visual of IEMOCAP and MELD",
}
"""Widths that published files give to audio and visual features alone."""


@dataclass(frozen=True)
class _Element:
    """An element that maps a dialogue to rows of numbers.

    Attributes:
        place: in the pickle, from 0.
        width: D.
        kind: what it looks like, in words.
        text: whether it may be text.
    """

    place: int
    width: int
    kind: str
    text: bool

    def __str__(self) -> str:
        return f"element {self.place}: {self.kind}, {self.width} wide"


def replacement_text(
    path: str | os.PathLike[str],
    lengths: Mapping[Any, int],
    *,
    others: Mapping[str, int] | None = None,
    element: int | None = None,
) -> tuple[dict[Any, Any], dict[str, object]]:
    """The text rows of every dialogue.

    Of a tuple or list the text is what remains when one-hot rows, rows as wide as the feature pickle's audio or visual,
    and widths that only audio or visual features have are left out. Several elements of one width are layers of one
    model: the first is taken, and the provenance names all. Elements of several widths are left to the user.

    Args:
        path: the pickle: a dict from dialogue id to [n, D] rows, or a tuple or list with such dicts among its elements.
        lengths: dialogue id -> n, the dialogues it must cover.
        others: modality -> width of the features that stay, audio and visual.
        element: take this element, from 0.

    Returns:
        Dialogue id -> rows, and what was taken, for the provenance.

    Raises:
        SourceError: no such dict, or several that may be text; dialogues without rows, or as many rows as utterances
            nowhere.
        UnsafePickleError: see ``read_pickle``.
    """
    source = os.fspath(path)
    content = read_pickle(source)
    if isinstance(content, (tuple, list)):
        chosen, facts = _choose(source, content, next(iter(lengths)), others or {}, element)
    else:
        chosen, facts = content, {"element": None, "width": _only_width(source, content, next(iter(lengths)), element)}
    _refuse_gaps(source, chosen, lengths)
    return chosen, {**describe(path), **facts}


def _choose(
    source: str, content: Any, name: Any, others: Mapping[str, int], element: int | None
) -> tuple[Any, dict[str, object]]:
    """The element with the text, and how it was found."""
    elements = list(_elements(content, name, others))
    if not elements:
        raise SourceError(_nothing(source, name))
    if element is not None:
        chosen = _element_at(source, elements, element)
        return content[chosen.place], {"element": chosen.place, "width": chosen.width, "chosen by": "--text-element"}
    candidates = [one for one in elements if one.text]
    if len({one.width for one in candidates}) != 1:
        problem = "may be text" if candidates else "looks like text"
        count = "more than one element" if candidates else "no element"
        raise SourceError(
            f"{source}: {count} of this {type(content).__name__} {problem}; say which one with --text-element K "
            f"(text_element=K in Python), K counted from 0:\n{_listed(elements)}"
        )
    first = candidates[0]
    facts: dict[str, object] = {"element": first.place, "width": first.width}
    if alike := [one.place for one in candidates[1:]]:
        facts["also as wide"] = alike
    return content[first.place], facts


def _element_at(source: str, elements: list[_Element], place: int) -> _Element:
    for one in elements:
        if is_whole(place) and one.place == place:
            return one
    raise SourceError(
        f"{source}: --text-element must name one of the elements with rows of numbers, is {place!r}:\n"
        f"{_listed(elements)}"
    )


def _listed(elements: list[_Element]) -> str:
    return "\n".join(f"  {one}" for one in elements)


def _only_width(source: str, content: Any, name: Any, element: int | None) -> int:
    """Width of a pickle that is one dict of rows."""
    rows = _rows(content[name]) if isinstance(content, dict) and name in content else None
    if rows is None:
        raise SourceError(_nothing(source, name))
    if element is not None:
        raise SourceError(f"{source}: is one dict of rows and has no elements to choose from; leave out --text-element")
    return int(rows.shape[1])


def _nothing(source: str, name: Any) -> str:
    return (
        f"{source}: holds no dict from dialogue id to rows of numbers that knows dialogue {name!r}; give the pickle of "
        "per-utterance features of the same dialogues"
    )


def _elements(content: Any, name: Any, others: Mapping[str, int]) -> Iterator[_Element]:
    """The elements that map this dialogue to rows of numbers."""
    widths = {width: f"as wide as the feature pickle's {modality}" for modality, width in others.items()}
    for place, element in enumerate(content):
        rows = _rows(element[name]) if isinstance(element, dict) and name in element else None
        if rows is None:
            continue
        width = rows.shape[1]
        reason = "one-hot rows" if _is_one_hot(rows) else widths.get(width, NEVER_TEXT.get(width, ""))
        yield _Element(place, width, reason or "rows of numbers", text=not reason)


def _rows(value: Any) -> NDArray[np.float32] | None:
    """A dialogue's rows as a matrix; None where they are none."""
    try:
        array = np.asarray(value)
        matrix = array.astype(np.float32)
    except (TypeError, ValueError):
        return None
    return matrix if matrix.ndim == 2 and matrix.size and array.dtype.kind in "iufO" else None


def _is_one_hot(rows: NDArray[np.float32]) -> bool:
    return bool(rows.shape[1] > 1 and np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all())


def _refuse_gaps(path: str, rows: Mapping[Any, Any], lengths: Mapping[Any, int]) -> None:
    lacking = [name for name in lengths if name not in rows]
    if lacking:
        raise SourceError(f"{path}: has no text rows for {len(lacking)} dialogues, such as {lacking[0]!r}")
    for name, count in lengths.items():
        text_rows = len(rows_of_numbers(rows[name], f"{path}, dialogue {name!r}"))
        if text_rows != count:
            raise SourceError(f"{path}: dialogue {name!r} has {text_rows} text rows for {count} utterances")
