"""Every combination of a space once, conditional ones included.

Optuna's own GridSampler knows no conditions, tries start points a second time, and stops the study itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import gcd
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from tune.search.space import Space


class GridSampler(BaseSampler):
    """Combinations of a space in an order that spreads over it; those that any trial of the study has are passed over.

    Args:
        space: its values must be countable.
        seed: of the order.

    Raises:
        UncountableError: a parameter can take any number between its bounds.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._grid = space, space.grid
        size = len(self._grid)
        generator = random.Random(seed)  # noqa: S311
        # Steps of a stride that shares no divisor with the size meet every cell once.
        self._stride = next(s for s in iter(lambda: generator.randrange(1, size + 1), 0) if gcd(s, size) == 1)
        self._first = generator.randrange(size)
        self._next = 0
        self._ended: dict[int, frozenset[tuple[str, Any]]] = {}

    def has_open_cell(self, study: Study) -> bool:
        """Whether the study has a combination left to try."""
        return self._open_cell(study) is not None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """All parameters: they are chosen together."""
        return self._space.distributions

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The next combination.

        Raises:
            ValueError: there is none left.
        """
        cell = self._open_cell(study)
        if cell is None:
            raise ValueError(
                f"all {len(self._grid)} combinations of the grid are tried; ask exhausted() before the sampler"
            )
        return cell

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Refuse: no parameter is chosen on its own.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{param_name}: must be in the space of the grid, which has {', '.join(self._space.domains)}")

    def _open_cell(self, study: Study) -> dict[str, Any] | None:
        """The parameters of the next combination that no trial has."""
        identities = self._identities_of(study)
        for params in self._cells():
            if _identity(params) not in identities:
                return params
            self._next += 1
        return None

    def _identities_of(self, study: Study) -> set[frozenset[tuple[str, Any]]]:
        """Combinations of all trials; those of ended trials are kept, as there may be thousands."""
        running = set()
        for trial in study.get_trials(deepcopy=False):
            if trial.number in self._ended:
                continue
            if trial.state.is_finished():
                self._ended[trial.number] = _identity(trial.params)
            else:
                running.add(_identity(trial.params))
        return running | set(self._ended.values())

    def _cells(self) -> Iterator[dict[str, Any]]:
        size = len(self._grid)
        for step in range(self._next, size):
            yield dict(self._space.params_of(self._grid[(self._first + step * self._stride) % size]))


def _identity(params: dict[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(params.items())
