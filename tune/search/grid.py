"""All combinations of a space whose values can be counted, by number and never all at once.

The parameters that others depend on are taken combination by combination; what each combination leaves free is a
plain product, whose cells are counted like the digits of a number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import prod
from typing import Any

from dclf.errors import UserError
from tune.search.domains import Domain

Active = Callable[[str, Mapping[str, Any]], bool]


class UncountableError(UserError, ValueError):
    """A parameter that can take any number between its bounds has no cells; the message names it."""


class Grid:
    """The combinations of a space.

    Args:
        domains: dotted key -> domain, each behind those it depends on.
        deciding: the keys that others depend on.
        active: whether a key is asked for, given the values chosen before it.

    Raises:
        UncountableError: a parameter has no step.
    """

    def __init__(self, domains: Mapping[str, Domain], deciding: Sequence[str], active: Active) -> None:
        self._domains, self._active = domains, active
        free = [key for key in domains if key not in deciding]
        self._blocks = [
            (values, {key: _cells(key, domains[key]) for key in free if active(key, values)})
            for values in self._decisions([key for key in domains if key in deciding], {})
        ]
        sizes = [prod(len(cells) for cells in leaves.values()) for _, leaves in self._blocks]
        self._ends = list(accumulate(sizes))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The overrides of one cell."""
        block = bisect_right(self._ends, index)
        values, leaves = self._blocks[block]
        rest = index - (self._ends[block - 1] if block else 0)
        cell = dict(values)
        for key, cells in leaves.items():
            rest, digit = divmod(rest, len(cells))
            cell[key] = cells[digit]
        return {key: cell[key] for key in self._domains if key in cell}

    def _decisions(self, keys: Sequence[str], values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every combination of the keys that decide whether others are asked."""
        if not keys:
            yield values
            return
        key, *others = keys
        if not self._active(key, values):
            yield from self._decisions(others, values)
            return
        for value in _cells(key, self._domains[key]):
            yield from self._decisions(others, {**values, key: value})


def _cells(key: str, domain: Domain) -> list[Any]:
    cells = domain.cells()
    if cells is None:
        raise UncountableError(f"{key} has no step, it can be {domain}")
    return cells
