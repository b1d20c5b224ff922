"""Population based training: Ray Tune's scheduler over a sweep's space.

Every ``sweep.grace_epochs`` epochs a trial among the worst quarter takes over the weights of one among the best and
goes on with that one's values, some of them changed. What Ray Tune changes is brought back into the space's domains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import FloatDistribution
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining

from tune.search.domains import Choices, Domain, Numbers
from tune.search.settings import SweepSettings
from tune.search.space import Space


def population_scheduler(settings: SweepSettings, space: Space) -> PopulationBasedTraining:
    """The scheduler of a sweep with ``scheduler: pbt``; its space has no conditions."""
    return PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=max(settings.grace_epochs, 1),
        hyperparam_mutations={"params": {key: _sampler(domain) for key, domain in space.domains.items()}},
        custom_explore_fn=_within(space),
        log_config=False,
    )


def _sampler(domain: Domain) -> Any:
    """What Ray Tune draws from where it does not change the present value a little."""
    if isinstance(domain, Choices):
        return list(domain.choices)
    if (cells := domain.cells()) is not None:
        return cells
    assert isinstance(domain.distribution, FloatDistribution)
    return tune.loguniform(domain.low, domain.high) if domain.log else tune.uniform(domain.low, domain.high)


def _within(space: Space) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def explore(config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "params": nearest(space, config["params"])}

    return explore


def nearest(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the space that come nearest to these."""
    return {key: _nearest(space.domains[key], value) for key, value in params.items()}


def _nearest(domain: Domain, value: Any) -> Any:
    if not isinstance(domain, Numbers):
        return value
    cells = domain.cells()
    if cells is not None:
        return min(cells, key=lambda cell: abs(cell - value))
    return domain.value(min(max(float(value), domain.low), domain.high))
