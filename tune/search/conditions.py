"""When a parameter is asked for: ``when: {other.key: value or [values]}``, as a YAML file writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from tune.config.yaml_files import plain
from tune.search.domains import same


@dataclass(frozen=True)
class Condition:
    """What another key must be for a parameter to be asked.

    Attributes:
        key: the other key, dotted.
        values: it must be one of these.
    """

    key: str
    values: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """Whether a value of the other key is one of those."""
        return any(same(value, allowed) for allowed in self.values)


def read_conditions(spec: Any) -> tuple[tuple[Condition, ...], list[str]]:
    """The conditions of one parameter and what is wrong with them."""
    when = spec.get("when", {}) if isinstance(spec, Mapping) else {}
    if not isinstance(when, Mapping):
        return (), [f"when must be {{key: value}}, is {when!r}"]
    empty = [f"when {key} must name at least one value" for key, allowed in when.items() if allowed in ([], ())]
    return tuple(Condition(str(key), _values(allowed)) for key, allowed in when.items()), empty


def _values(allowed: Any) -> tuple[Any, ...]:
    return tuple(plain(allowed)) if isinstance(allowed, list | tuple) else (allowed,)


def in_order(keys: Sequence[str], conditions: Mapping[str, Sequence[Condition]]) -> tuple[list[str], list[str]]:
    """Keys so that each stands behind those it depends on, else as given; and the cycle, where there is one."""
    graph = {key: [other.key for other in conditions.get(key, ()) if other.key in keys] for key in keys}
    try:
        return list(TopologicalSorter(graph).static_order()), []
    except CycleError as error:
        return [], list(error.args[1])[::-1]
