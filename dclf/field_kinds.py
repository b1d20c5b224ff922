"""Whether the fields of settings hold values of their kinds.

YAML and the command line see to this themselves; a notebook builds the dataclasses by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass, replace
from functools import cache
from numbers import Real
from typing import Any, Literal, get_args, get_origin, get_type_hints

from dclf.data.whole_numbers import is_whole
from dclf.labels import quoted_value
from dclf.prose import suggestion


def field_kinds(settings: Any) -> Mapping[str, Any]:
    """Field of a dataclass -> its declared type."""
    return _hints(settings)


@cache
def _hints(settings: Any) -> Mapping[str, Any]:
    return get_type_hints(settings)


def kind_problems(settings: Any, section: str) -> dict[str, str]:
    """Field -> what is wrong with its value, where that is not of the field's kind.

    Args:
        settings: a dataclass.
        section: stands before the field's name in the message, with a dot.
    """
    values = ((name, kind_problem(kind, getattr(settings, name))) for name, kind in field_kinds(type(settings)).items())
    return {name: f"{section}{name}: {problem}" for name, problem in values if problem}


def kind_problem(kind: Any, value: Any) -> str:
    """``must be KIND, is VALUE`` where a value is not of a kind; empty where it is, and for unions, which it leaves.

    A truth value is no number, and 2.0 no whole one.
    """
    must = _must(kind, value)
    if not must:
        return ""
    hint = suggestion(value, get_args(kind)) if get_origin(kind) is Literal and isinstance(value, str) else ""
    return f"must be {must}, is {quoted_value(value)}{hint}"


def _must(kind: Any, value: Any) -> str:
    origin, members = get_origin(kind), get_args(kind)
    holds, must = True, ""
    if kind is int:
        holds, must = is_whole(value), "a whole number"
    elif kind is float:
        holds, must = isinstance(value, Real) and not isinstance(value, bool), "a number"
    elif kind is bool or kind is str:
        holds, must = isinstance(value, kind), "text" if kind is str else "true or false"
    elif origin is Literal:
        holds, must = isinstance(value, str) and value in members, f"one of {', '.join(members)}"
    elif origin is tuple:
        holds, must = isinstance(value, list | tuple), "a list"
    elif origin is dict:
        texts = members[1] is str
        holds, must = _is_mapping(value, texts=texts), f"a mapping of keys to {'text' if texts else 'values'}"
    elif is_dataclass(kind) and isinstance(kind, type):
        holds, must = isinstance(value, kind), f"a {kind.__name__}"
    return "" if holds else must


def _is_mapping(value: Any, *, texts: bool) -> bool:
    """Whether a value is a mapping under texts, and of texts where asked."""
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(part, str) for part in [*value, *(value.values() if texts else ())])


def with_defaults(settings: Any, names: Iterable[str]) -> Any:
    """The same settings with the defaults of some fields, so that the others can be judged."""
    defaults = type(settings)()
    return replace(settings, **{name: getattr(defaults, name) for name in names})
