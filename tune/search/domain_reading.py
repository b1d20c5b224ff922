"""Domains as a YAML file writes them, with every mistake in them.

``{low, high[, step][, log][, int]}`` or ``{choices}``, each with ``when: {other.key: value or [values]}`` if it is
conditional.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from dclf.prose import suggestion
from tune.config.yaml_files import plain
from tune.search.domains import Choices, Domain, Numbers, same

NUMBER_FIELDS = ("low", "high", "step", "log", "int")
FIELDS = (*NUMBER_FIELDS, "choices", "when")
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def read_domain(spec: Any) -> tuple[Domain | None, list[str]]:
    """The domain that is written, or None, and what is wrong with it, one line per mistake."""
    if not isinstance(spec, Mapping):
        return None, [f"must be {{low, high}} or {{choices}}, is {spec!r}"]
    problems = list(_field_problems(spec))
    if not problems:
        problems = list(_choice_problems(spec) if "choices" in spec else _number_problems(_numeric(spec)))
    return (None if problems else _domain(spec)), problems


def _domain(spec: Mapping[str, Any]) -> Domain:
    if "choices" in spec:
        return Choices(tuple(_number(plain(choice)) for choice in spec["choices"]))
    numbers = _numeric(spec)
    return Numbers(
        low=numbers["low"],
        high=numbers["high"],
        step=numbers.get("step"),
        log=spec.get("log", False),
        whole=spec.get("int", False),
    )


def _field_problems(spec: Mapping[str, Any]) -> Iterator[str]:
    for field in spec:
        if field not in FIELDS:
            yield f"has no {field!r}, only {', '.join(FIELDS)}{suggestion(str(field), FIELDS)}"
    numbers = [field for field in NUMBER_FIELDS if field in spec]
    if "choices" in spec and numbers:
        yield f"must have either choices or low and high, has choices and {', '.join(numbers)}"
    if "choices" not in spec and not {"low", "high"} <= set(spec):
        yield f"must have low and high, or choices, has {', '.join(map(str, spec)) or 'nothing'}"


def _choice_problems(spec: Mapping[str, Any]) -> Iterator[str]:
    choices = spec["choices"]
    if not isinstance(choices, list | tuple) or not choices:
        yield f"choices must be a list with at least one value, is {choices!r}"
        return
    twice = [choice for place, choice in enumerate(choices) if any(same(choice, other) for other in choices[:place])]
    if twice:
        yield f"choices must differ, has {', '.join(map(str, twice))} twice"


def _number_problems(spec: Mapping[str, Any]) -> Iterator[str]:
    wrong = [f"{flag} must be true or false, is {spec[flag]!r}" for flag in ("log", "int") if not _flag(spec, flag)]
    kind = int if spec.get("int") is True else float
    for field in ("low", "high", "step"):
        if field in spec and not _is_number(spec[field], kind):
            words = "a whole number with int" if kind is int else "a finite number"
            wrong.append(f"{field} must be {words}, is {spec[field]!r}")
    yield from wrong or _bound_problems(spec)


def _bound_problems(spec: Mapping[str, Any]) -> Iterator[str]:
    low, high, step, log = spec["low"], spec["high"], spec.get("step"), spec.get("log", False)
    if low >= high:
        yield f"low must be below high, is {low} and {high}"
    if log and low <= 0:
        yield f"low must be above 0 with log, is {low}"
    if log and step is not None:
        yield "must have either step or log, has both"
    if step is not None and step <= 0:
        yield f"step must be above 0, is {step}"
    elif step is not None and low < high:
        yield from _step_problems(low, high, step)


def _step_problems(low: float, high: float, step: float) -> Iterator[str]:
    width, stride = Decimal(str(high)) - Decimal(str(low)), Decimal(str(step))
    if width % stride or width < stride:
        last = Decimal(str(low)) + width // stride * stride
        yield f"step must lead from low to high, but steps of {step} from {low} miss {high}; the last one is {last}"


def _flag(spec: Mapping[str, Any], field: str) -> bool:
    return isinstance(spec.get(field, False), bool)


def _is_number(value: Any, kind: type) -> bool:
    accepted = int if kind is int else (int, float)
    return isinstance(value, accepted) and not isinstance(value, bool) and math.isfinite(value)


def _numeric(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {field: _number(value) for field, value in spec.items()}


def _number(value: Any) -> Any:
    """Return the value; a number for text such as ``1e-5``, as YAML reads only ``1.0e-5`` as a number."""
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value
