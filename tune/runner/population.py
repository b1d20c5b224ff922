"""Population based training: Ray Tune's scheduler over a sweep's space.

Every ``sweep.grace_epochs`` epochs a trial among the worst quarter takes over the weights of one among the best and
goes on with that one's values, some of them changed. What Ray Tune changes is brought back into the space's domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from optuna.distributions import FloatDistribution
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining

from tune.config.sweep_settings import SweepSettings
from tune.search.domains import Choices, Domain, Numbers
from tune.search.space import Space


class _Population(PopulationBasedTraining):
    """Takes its first values from our searcher.

    Ray Tune's own form refuses any: it might go on to suggest values after the population is complete. Ours hands out
    as many trials as the population has.
    """

    def __init__(self, space: Space, **options: Any) -> None:
        super().__init__(**options)
        self._space = space

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002 - Ray Tune's interface
        """A member joins."""
        no_searcher: Any = SimpleNamespace(search_alg=None)
        super().on_trial_add(no_searcher, trial)

    def _get_new_config(self, trial: Any, trial_to_clone: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the configuration that a member goes on with: another one's values, changed a little."""
        config, operations = super()._get_new_config(trial, trial_to_clone)
        return {**trial.config, "params": nearest(self._space, config["params"])}, operations


def population_scheduler(settings: SweepSettings, space: Space) -> PopulationBasedTraining:
    """The scheduler of a sweep with ``scheduler: pbt``; its space has no conditions."""
    return _Population(
        space,
        time_attr="training_iteration",
        perturbation_interval=max(settings.grace_epochs, 1),
        hyperparam_mutations={"params": {key: _sampler(domain) for key, domain in space.domains.items()}},
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
