"""The feature pickles of the field, told apart by what is in them: how many elements, of which kind, how wide.

Most are tuples or lists of dicts by dialogue id. ``LAYOUTS`` lists the elements of each in their order; an element's
*role* is what it is for, its *kind* what it looks like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import MODALITIES
from dclf.data.errors import SourceError
from dclf.data.importers.sources import as_float32, length_of, without_objects
from dclf.data.whole_numbers import is_whole
from dclf.prose import join_words

OWN_WIDTHS = {
    1582: ("audio", "openSMILE's IS10 set, audio of IEMOCAP"),
    1611: ("audio", "audio of MELD's authors"),
    342: ("visual", "DenseNet's rows, visual of IEMOCAP and MELD"),
}
"""Widths that published files give to one modality alone: width -> modality, and what it is."""

ROBERTA = "roberta"
"""The role of one of RoBERTa's last four layers."""

_FITTING = {
    "ids": ("words", "numbers", "rows", "nothing", "other"),
    "speakers": ("genders", "one-hot", "words", "numbers"),
    "labels": ("numbers", "scores"),
    "sentiments": ("numbers",),
    "text": ("rows", "nothing"),
    ROBERTA: ("rows",),
    "audio": ("rows", "nothing"),
    "visual": ("rows", "nothing"),
    "sentences": ("words", "genders"),
    "train": ("names",),
    "test": ("names",),
    "val": ("names",),
}
"""Role -> kinds that an element may be of; one that is unused may be anything."""

ROLES = (*(role for role in _FITTING if role != "ids"),)
"""What ``--elements`` can name."""


@dataclass(frozen=True, kw_only=True)
class TupleLayout:
    """One published tuple.

    Attributes:
        users: whose programs read it.
        roles: of the elements in order.
        widths: modality -> D, of the rows; empty where the file has RoBERTa's layers alone.
        corpora: whose files come in it.
    """

    users: str
    roles: tuple[str, ...]
    widths: Mapping[str, int]
    corpora: tuple[str, ...]

    def __str__(self) -> str:
        return f"a tuple of {len(self.roles)} as {self.users} read it"


def _layout(users: str, roles: str, corpora: str, **widths: int) -> TupleLayout:
    places = roles.replace("ROBERTA", " ".join([ROBERTA] * 4)).split()
    return TupleLayout(users=users, roles=tuple(places), widths=widths, corpora=tuple(corpora.split()))


_FIRST, _LAST = "ids speakers labels", "sentences train test"
LAYOUTS = (
    _layout("MMGCN, MM-DFN, GraphCFC and GraphMFT", f"{_FIRST} text audio visual {_LAST}", "iemocap iemocap-4",
            text=100, audio=1582, visual=342),
    _layout("MMGCN", f"{_FIRST} text audio visual {_LAST} unused", "meld", text=600, audio=300, visual=342),
    _layout("DialogueRNN, BiDDIN, bc-LSTM, COGMEN and CORECT", f"{_FIRST} text audio visual {_LAST}",
            "iemocap iemocap-4", text=100, audio=100, visual=512),
    _layout("DialogueRNN and DialogueCRN", f"{_FIRST} text audio {_LAST} sentiments", "meld", text=600, audio=300),
    _layout("COSMIC", "speakers labels ROBERTA sentences train test val", "iemocap emorynlp dailydialog"),
    _layout("COSMIC", "speakers labels sentiments ROBERTA sentences train test val", "meld"),
    _layout("CFN-ESA, SDT and GraphSmile", f"{_FIRST} ROBERTA audio visual {_LAST}", "iemocap iemocap-4",
            audio=1582, visual=342),
    _layout("SDT", f"{_FIRST} ROBERTA audio visual {_LAST} unused", "meld", audio=300, visual=342),
    _layout("CFN-ESA and GraphSmile", f"{_FIRST} sentiments ROBERTA audio visual {_LAST} unused", "meld",
            audio=300, visual=342),
)  # fmt: skip
"""Every published tuple of features with emotions as labels. MOSEI's has the roles of the first, and scores as
labels."""


@dataclass(frozen=True)
class Element:
    """What one element of a tuple looks like.

    Attributes:
        place: in the tuple, from 0.
        kind: of ``_FITTING``.
        width: of rows, else 0.
    """

    place: int
    kind: str
    width: int = 0

    def __str__(self) -> str:
        return f"element {self.place}: {self._words()}"

    def _words(self) -> str:
        if self.kind == "rows":
            own = OWN_WIDTHS.get(self.width)
            return f"{own[1] if own else 'rows of numbers'}, {self.width} wide"
        plain = {
            "one-hot": f"one-hot rows, {self.width} wide",
            "genders": "'M' and 'F' by dialogue",
            "words": "texts by dialogue",
            "numbers": "whole numbers by dialogue",
            "scores": "scores by dialogue",
            "names": "a list of dialogue ids",
            "nothing": "nothing",
        }
        return plain.get(self.kind, "something else")


def look_at(content: Sequence[Any]) -> list[Element]:
    """What each element of a tuple or list looks like."""
    return [_element(place, value) for place, value in enumerate(content)]


def _element(place: int, value: Any) -> Element:
    if value is None or length_of(value) == 0:
        return Element(place, "nothing")
    if isinstance(value, dict):
        return _of_dict(place, value)
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)) and length_of(value):
        ids = all(isinstance(name, str) or is_whole(name) for name in value)
        return Element(place, "names" if ids else "other")
    return Element(place, "other")


def _of_dict(place: int, by_name: Mapping[Any, Any]) -> Element:
    values = [value for value in by_name.values() if length_of(value)]
    if not values:
        return Element(place, "other" if any(value is not None for value in by_name.values()) else "nothing")
    if _most(_is_words(value) for value in values):
        return Element(place, "genders" if _most(_is_genders(value) for value in values) else "words")
    first = [matrix for value in values[:_LOOKED_AT] if (matrix := rows_or_none(value)) is not None]
    if len(first) > len(values[:_LOOKED_AT]) / 2 and first[0].shape[1] > 1:
        return Element(place, "one-hot" if _most(map(is_one_hot, first)) else "rows", first[0].shape[1])
    return Element(place, _numbers_kind(values))


_LOOKED_AT = 9
"""Dialogues whose rows are looked at: a kind is what most are, so that a broken one is named when all are read."""
_FEW = 0.05
"""Share of labels that may be no whole numbers by mistake; where more are not, they are scores."""


def _most(answers: Iterable[bool]) -> bool:
    every = list(answers)
    return sum(every) > len(every) / 2


def _is_words(value: Any) -> bool:
    return not isinstance(value, str) and all(isinstance(word, str) for word in value)


def _is_genders(value: Any) -> bool:
    return _is_words(value) and all(word in ("M", "F") for word in value)


def _numbers_kind(values: Sequence[Any]) -> str:
    """``numbers`` or ``scores``, by the dialogues that have numbers; ``other`` where most have none."""
    rows = [row for value in values if (row := _numbers(value)) is not None]
    if len(rows) <= len(values) / 2:
        return "other"
    flat = np.concatenate(rows)
    wrong = ~(np.isnan(flat) | (flat == np.floor(flat)))
    return "scores" if wrong.mean() > _FEW else "numbers"


def _numbers(value: Any) -> NDArray[np.float64] | None:
    try:
        array = np.asarray(value)
        numbers: NDArray[np.float64] | None = array.astype(np.float64).ravel() if array.dtype.kind in "biuf" else None
    except (TypeError, ValueError):
        return None
    return numbers


def rows_or_none(value: Any) -> NDArray[np.float32] | None:
    """A dialogue's rows as a matrix; None where they are none."""
    try:
        array = np.asarray(without_objects(value))
        matrix = as_float32(array)
    except (TypeError, ValueError):
        return None
    return matrix if matrix.ndim == 2 and matrix.size and array.dtype.kind in "iufO" else None


def is_one_hot(rows: NDArray[np.float32]) -> bool:
    """Whether every row is a single 1 among zeros."""
    return bool(rows.shape[1] > 1 and np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all())


def fits(layout: TupleLayout, elements: Sequence[Element]) -> bool:
    """Whether every element is of a kind that the layout has in its place."""
    return len(layout.roles) == len(elements) and all(
        role == "unused" or element.kind in _FITTING[role] for role, element in zip(layout.roles, elements, strict=True)
    )


def widths_agree(layout: TupleLayout, elements: Sequence[Element]) -> bool:
    """Whether the rows' widths say that each modality stands where the layout has it.

    They do where all are the published ones. Otherwise all but one must be widths that published files give to that
    modality alone, so that the last is what remains. RoBERTa's layers must be equally wide, and 1024 wide where the
    widths of the others do not speak for them.
    """
    widths: dict[str, set[int]] = {}
    for role, element in zip(layout.roles, elements, strict=True):
        if element.kind == "rows" and role != "ids":
            widths.setdefault(role, set()).add(element.width)
    if any(len(each) > 1 for each in widths.values()):
        return False
    published = {**layout.widths, ROBERTA: 1024}
    open_roles = [role for role, (width,) in widths.items() if width != published[role]]
    if not open_roles:
        return True
    unsure = [role for role, (width,) in widths.items() if OWN_WIDTHS.get(width, ("", ""))[0] != role]
    return len(widths) > 1 and unsure == open_roles and len(unsure) == 1 and _owner(widths[unsure[0]]) is None


def _owner(widths: set[int]) -> str | None:
    return OWN_WIDTHS.get(next(iter(widths)), (None, ""))[0]


def parse_elements(text: str, count: int) -> dict[str, list[int]]:
    """Role -> places, from ``text=3,audio=4``; a range as in ``text=2-5`` are layers.

    Raises:
        SourceError: with every part that is not understood.
    """
    by_role: dict[str, list[int]] = {}
    wrong = []
    for part in text.split(","):
        role, _, value = (piece.strip() for piece in part.partition("="))
        first, _, last = value.partition("-")
        valid = role in ROLES and role != ROBERTA and first.isdecimal() and (last.isdecimal() or not last)
        places = list(range(int(first), int(last or first) + 1)) if valid else []
        if role in by_role or not places or places[-1] >= count or (len(places) > 1 and role != "text"):
            wrong.append(part.strip())
        else:
            by_role[role] = places
    all_places = [place for places in by_role.values() for place in places]
    if wrong or len({*all_places}) < len(all_places):
        what = f"does not understand {join_words([repr(part) for part in wrong])}" if wrong else "names one twice"
        roles = ", ".join(role for role in ROLES if role != ROBERTA)
        raise SourceError(
            f"--elements {text}: must be ROLE=K with commas between, K from 0 to {count - 1}, ROLE one of {roles}, "
            f"and text also K-K for layers; {what}"
        )
    return by_role


def described(roles: Mapping[str, Sequence[int]], elements: Sequence[Element]) -> list[str]:
    """In plain words what each element was taken for."""
    names = {place: role for role, places in roles.items() for place in places}
    lines = []
    for element in elements:
        role = names.get(element.place, "not used")
        layers = roles.get(role, ())
        which = f", layer {list(layers).index(element.place) + 1} of {len(layers)}" if len(layers) > 1 else ""
        width = f", {element.width} wide" if role in MODALITIES else ""
        lines.append(f"element {element.place}: {role}{which}{width}")
    return lines
