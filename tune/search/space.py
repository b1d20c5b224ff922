"""A search space: which keys of the configuration a sweep varies, and over which values.

A space is a mapping of dotted keys to domains, see ``tune.search.domain_reading`` for their form. A parameter with a
condition is asked for only where the condition holds; where it does not, its key keeps the base configuration's value.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalChoiceType
from optuna.trial import BaseTrial

from dclf.config import Config
from tune.config.overrides import value_of
from tune.config.yaml_files import ConfigError, plain
from tune.search.conditions import Condition, in_order, read_conditions
from tune.search.domain_reading import read_domain
from tune.search.domains import Domain
from tune.search.grid import Grid, UncountableError

PROJECTION = "loss.projection"
DEFAULT: Mapping[str, Mapping[str, Any]] = {
    "loss.gamma_ca": {"low": 0.0, "high": 1.0, "step": 0.05},
    "loss.gamma_mc": {"low": 0.0, "high": 1.0, "step": 0.05},
    "loss.window": {"low": 2, "high": 20, "int": True},
    "loss.temperature": {"low": 0.02, "high": 0.5, "log": True},
    "loss.denominator": {"choices": ["negatives", "all", "khosla"]},
    PROJECTION: {"choices": ["none", "linear", "mlp"]},
}


class Space:
    """What a sweep varies. ``Space.of`` makes one from a mapping.

    Attributes:
        domains: dotted key -> domain, each behind those it depends on.
        conditions: dotted key -> what must hold for it to be asked; only those that have any.
        base: decides conditions on keys outside the space; None where there are none.
        mistakes: dotted key -> what is wrong with the form of its domain.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        conditions: Mapping[str, tuple[Condition, ...]],
        base: Config | None = None,
        mistakes: Mapping[str, list[str]] | None = None,
    ) -> None:
        order, self._cycle = in_order(list(domains), conditions)
        self.domains: dict[str, Domain] = {key: domains[key] for key in order or domains}
        self.conditions, self.base, self.mistakes = dict(conditions), base, dict(mistakes or {})

    @classmethod
    def of(cls, spec: Mapping[str, Any], base: Config | None = None) -> Space:
        """The space that a mapping describes; ``problems`` says what is wrong with it.

        Args:
            spec: dotted key -> domain.
            base: the configuration whose values decide conditions on keys outside the space.
        """
        domains: dict[str, Domain] = {}
        conditions: dict[str, tuple[Condition, ...]] = {}
        mistakes: dict[str, list[str]] = {}
        for key, written in spec.items():
            domain, wrong = read_domain(written)
            required, wrong_when = read_conditions(written)
            if domain is not None:
                domains[key] = domain
            if required:
                conditions[key] = required
            if wrong or wrong_when:
                mistakes[key] = [*wrong, *wrong_when]
        return cls(domains, conditions, base, mistakes)

    def based_on(self, base: Config) -> Space:
        """The same space with another base configuration."""
        return Space(self.domains, self.conditions, base, self.mistakes)

    @property
    def form_problems(self) -> list[str]:
        """What is wrong with the space as written, whatever the configuration; as ``problems``."""
        lines = [f"sweep.space.{key}: {text}" for key, texts in self.mistakes.items() for text in texts]
        if self._cycle:
            chain = " -> ".join(self._cycle)
            lines.append(f"sweep.space.{self._cycle[0]}: when must not lead back to itself, but {chain}")
        return lines

    @property
    def spec(self) -> dict[str, Any]:
        """The space as a mapping for YAML, which ``Space.of`` reads back.

        Raises:
            ConfigError: the space itself has mistakes.
        """
        self._require_sound()
        return {key: {**domain.spec, **self._when(key)} for key, domain in self.domains.items()}

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distribution of every parameter, asked or not."""
        return {key: domain.distribution for key, domain in self.domains.items()}

    @cached_property
    def deciding(self) -> list[str]:
        """Parameters on which others depend."""
        keys = {condition.key for required in self.conditions.values() for condition in required}
        return [key for key in self.domains if key in keys]

    @cached_property
    def grid(self) -> Grid:
        """All combinations.

        Raises:
            UncountableError: a parameter can take any number between its bounds.
        """
        return Grid(self.domains, self.deciding, self.active)

    @property
    def size(self) -> int | None:
        """Number of combinations, or None where they cannot be counted."""
        try:
            return len(self.grid)
        except UncountableError:
            return None

    def active(self, key: str, values: Mapping[str, Any]) -> bool:
        """Whether a parameter is asked for, given the values of those it depends on.

        Raises:
            ValueError: that depends on the base configuration, and the space was made without one.
        """
        return all(self._holds(condition, values) for condition in self.conditions.get(key, ()))

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """What a trial of Optuna sets: dotted key -> value as the configuration takes it, active parameters only.

        Raises:
            ConfigError: the space itself has mistakes.
        """
        self._require_sound()
        overrides: dict[str, Any] = {}
        for key, domain in self.domains.items():
            if self.active(key, overrides):
                overrides[key] = domain.ask(trial, key)
        return overrides

    def params_of(self, overrides: Mapping[str, Any]) -> dict[str, CategoricalChoiceType]:
        """The parameters to enqueue in Optuna for a set of overrides; those it does not name are left to the sampler.

        Raises:
            ValueError: a key is not searched, is not asked beside the others, or has a value outside its domain.
        """
        values = self.values_of(overrides)
        return {key: self.domains[key].param(value) for key, value in values.items()}

    def values_of(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """The overrides as ``suggest`` writes them; raises as ``params_of``."""
        unknown = [key for key in overrides if key not in self.domains]
        if unknown:
            raise ValueError(f"{unknown[0]}: is not searched; the space has {', '.join(self.domains)}")
        values: dict[str, Any] = {}
        for key in (key for key in self.domains if key in overrides):
            if not self.active(key, values):
                raise ValueError(f"{key}: is asked only when {self._words(key)}")
            values[key] = self._value(key, overrides[key])
        return values

    def point(self, config: Config) -> dict[str, Any] | None:
        """A configuration's own values of the active parameters, or None where one lies outside the space."""
        return None if self.outside(config) else self._own_values(config)

    def outside(self, config: Config) -> list[str]:
        """Why the space cannot express a configuration, one line per key; empty where it can."""
        reasons = []
        for key, value in self._own_values(config).items():
            try:
                self._value(key, value)
            except ValueError as error:
                reasons.append(str(error))
        return reasons

    def _own_values(self, config: Config) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, domain in self.domains.items():
            if self.active(key, values):
                value = value_of(config, key)
                try:
                    values[key] = domain.value(value)
                except ValueError:
                    values[key] = value
        return values

    def _value(self, key: str, value: Any) -> Any:
        try:
            return self.domains[key].value(value)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None

    def _holds(self, condition: Condition, values: Mapping[str, Any]) -> bool:
        if condition.key in self.domains:
            return condition.key in values and condition.holds(values[condition.key])
        if self.base is None:
            raise ValueError(f"{condition.key} is not searched: Space.of needs the base configuration to decide `when`")
        return condition.holds(value_of(self.base, condition.key))

    def _when(self, key: str) -> dict[str, Any]:
        conditions = self.conditions.get(key, ())
        return {"when": {one.key: plain(one.values) for one in conditions}} if conditions else {}

    def _words(self, key: str) -> str:
        return " and ".join(f"{one.key} is {' or '.join(map(str, one.values))}" for one in self.conditions[key])

    def _require_sound(self) -> None:
        if problems := self.form_problems:
            raise ConfigError(problems)


def default_space(*, population: bool = False) -> Space:
    """The paper's four hyperparameters, gamma_ca, gamma_mc, W and tau, and the forms of CACL that it leaves open.

    Args:
        population: whether trials take over one another's weights: without the head, whose weights they then share.
    """
    return Space.of({key: domain for key, domain in DEFAULT.items() if not (population and key == PROJECTION)})
