"""Combinations of values that stand for all that a space can express, few enough to try each.

A configuration judges most keys by themselves and some together (``dclf.config.JOINT``). It is therefore enough to try
the combinations of each such group, with the parameters that decide whether one of the group is asked at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations as choose
from typing import Any

from dclf.config import JOINT
from tune.search.domains import Choices, same
from tune.search.grid import Grid
from tune.search.space import Space

LIMIT = 2000
"""Combinations of a group that are tried all; of a larger one every pair of values is, beside ``ALWAYS``."""
ALWAYS = ("model.name", "model.causal")
"""Keys on which the meaning of all others of their group depends."""


def groups(keys: Sequence[str]) -> list[list[str]]:
    """The keys in groups that a configuration judges together, each in order."""
    together: dict[str, list[str]] = {}
    for key in keys:
        together.setdefault(_group(key), []).append(key)
    return list(together.values())


def _group(key: str) -> str:
    """The first key of the group that a key belongs to."""
    section, name, *_ = key.split(".")
    return next((group[0] for group in JOINT if f"{section}.{name}" in group), key)


def above(space: Space, keys: Collection[str]) -> set[str]:
    """The keys and all parameters on which these depend."""
    reached: set[str] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting += [one.key for one in space.conditions.get(key, ()) if one.key in space.domains]
    return reached


def combinations(space: Space, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What the space can make of a group's keys and those above them, as overrides; each value occurs in one.

    Args:
        space: with a base configuration and without circles.
        keys: the group.
    """
    reached = above(space, keys)
    values = {key: representatives(space, key) for key in space.domains if key in reached}
    whole = _grid(space, values)
    if len(whole) <= LIMIT:
        yield from _cells(whole)
        return
    always = [key for key in keys if key in ALWAYS]
    for pair in choose([key for key in keys if key not in ALWAYS], 2):
        varied = above(space, [*always, *pair])
        yield from _cells(_grid(space, {key: some if key in varied else some[:1] for key, some in values.items()}))


def representatives(space: Space, key: str) -> list[Any]:
    """Values of a parameter that stand for all: those that tell whether its key takes it, or on which others depend."""
    domain = space.domains[key]
    values = domain.samples()
    condition_values = [
        value for several in space.conditions.values() for one in several if one.key == key for value in one.values
    ]
    for value in condition_values:
        # One that the parameter never has is a mistake of its own.
        with suppress(ValueError):
            values.append(domain.value(value))
    return [value for place, value in enumerate(values) if not any(same(value, other) for other in values[:place])]


def _grid(space: Space, values: Mapping[str, Sequence[Any]]) -> Grid:
    domains = {key: Choices(tuple(some)) for key, some in values.items()}
    return Grid(domains, [key for key in space.deciding if key in domains], space.active)


def _cells(grid: Grid) -> Iterator[dict[str, Any]]:
    return (grid[index] for index in range(len(grid)))
