"""Which published layout a tuple has, and what each of its elements is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dclf.data.dialogue import MODALITIES
from dclf.data.errors import SourceError
from dclf.data.importers.layouts import (
    LAYOUTS,
    OWN_WIDTHS,
    ROBERTA,
    Element,
    TupleLayout,
    fits,
    parse_elements,
    widths_agree,
)
from dclf.data.importers.pickle_parts import Parts, listed
from dclf.prose import join_words

Roles = dict[str, list[int]]
"""Role -> places of the elements."""


def roles_of(source: str, looks: Sequence[Element], elements: str | None) -> tuple[TupleLayout | None, Roles]:
    """The layout, and what each element is for; SourceError with the question where that is open."""
    fitting = [layout for layout in LAYOUTS if fits(layout, looks)]
    agreeing = [layout for layout in fitting if widths_agree(layout, looks)]
    if elements is not None:
        return _told_roles(source, looks, fitting, elements)
    if agreeing and not any(element.kind == "rows" for element in looks):
        # Without features of its own the file has the one order of elements that all of these have.
        return replace(agreeing[0], users="MultiEMO"), places_of(agreeing[0], looks)
    if len(agreeing) == 1:
        return agreeing[0], places_of(agreeing[0], looks)
    listing = "\n".join(f"  {element}" for element in looks)
    if fitting:
        question = (
            "is laid out as a published file, but not as wide, so it is not clear which rows are text, audio and "
            "visual; say it with --elements, such as --elements text=3,audio=4,visual=5 (from 0)"
        )
    else:
        question = (
            "is laid out as no published file; say what its elements are, from 0, with --elements, such as --elements "
            "speakers=1,labels=2,text=3,audio=4,visual=5,sentences=6,train=7,test=8"
        )
    raise SourceError(f"{source}: {question}\n{listing}")


def _told_roles(
    source: str, looks: Sequence[Element], fitting: Sequence[TupleLayout], elements: str
) -> tuple[TupleLayout | None, Roles]:
    """What ``--elements`` says; the rest as the layout has it."""
    by_role = parse_elements(elements, len(looks))
    roles: Roles = {}
    if fitting:
        all_places = {place for places in by_role.values() for place in places}
        roles = {
            role: places
            for role, places in places_of(fitting[0], looks).items()
            if role not in MODALITIES and not all_places & {*places}
        }
    roles |= by_role
    lacking = [role for role in ("speakers", "labels", "train", "test") if role not in roles]
    wrong = [
        f"{role}={place} is {looks[place]}"
        for role, places in by_role.items()
        for place in places
        if not _may_be(role, looks[place])
    ]
    if lacking or wrong:
        problem = "; ".join([*wrong, *([f"{join_words(lacking)} must be named too"] if lacking else [])])
        listing = "\n".join(f"  {element}" for element in looks)
        raise SourceError(f"{source}: --elements {elements}: {problem}\n{listing}")
    return None, roles


def _may_be(role: str, element: Element) -> bool:
    if role == "labels" and element.kind == "words":
        return True
    layout = TupleLayout(users="", roles=(role,), widths={}, corpora=())
    return fits(layout, [element]) and element.kind != "nothing"


def places_of(layout: TupleLayout, looks: Sequence[Element]) -> Roles:
    """Role -> places; modalities that are empty are left out, and RoBERTa's layers are text."""
    places: Roles = {}
    for element, role in zip(looks, layout.roles, strict=True):
        if role != "unused" and element.kind != "nothing":
            places.setdefault("text" if role == ROBERTA else role, []).append(element.place)
    return places


def refuse_owned(source: str, roles: Roles, looks: Sequence[Element]) -> None:
    """Refuse rows that are as wide as published files have another modality alone."""
    for modality in MODALITIES:
        for place in roles.get(modality, ()):
            owner, what = OWN_WIDTHS.get(looks[place].width, (modality, ""))
            if owner != modality:
                raise SourceError(
                    f"{source}: element {place} must be {modality}, but is {looks[place].width} wide: {what}"
                )


def parts_at(source: str, content: Sequence[Any], roles: Roles) -> Parts:
    """The elements by their roles."""

    def element(role: str) -> Any:
        return content[roles[role][0]] if role in roles else None

    return Parts(
        source=source,
        speakers=element("speakers"),
        labels=element("labels"),
        train=listed(element("train"), source),
        test=listed(element("test"), source),
        val=listed(element("val"), source) if "val" in roles else (),
        features={m: [content[place] for place in roles[m]] for m in MODALITIES if m in roles},
        sentences=element("sentences"),
        sentiments=element("sentiments"),
        ids=element("ids") if isinstance(element("ids"), dict) else None,
    )
