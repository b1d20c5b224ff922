"""Domains of single keys: numbers between bounds, or choices.

A domain knows three forms of a value: what stands in the configuration (``0.3``, ``[text, audio]``), what Optuna
stores as the parameter (a number, text or truth value), and its distribution.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from tune.config.yaml_files import plain


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Numbers between bounds, both included.

    Attributes:
        low: the least.
        high: the greatest.
        step: distance of neighbours; None for every number between the bounds.
        log: search the logarithm.
        whole: whole numbers only.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False
    whole: bool = False

    @property
    def distribution(self) -> BaseDistribution:
        """Optuna's form."""
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    @property
    def spec(self) -> dict[str, Any]:
        """As it stands in a YAML file."""
        number = int if self.whole else float
        spec: dict[str, Any] = {"low": number(self.low), "high": number(self.high)}
        if self.step is not None:
            spec["step"] = number(self.step)
        return {**spec, **({"log": True} if self.log else {}), **({"int": True} if self.whole else {})}

    def ask(self, trial: BaseTrial, key: str) -> float:
        """A value that the trial suggests."""
        if self.whole:
            return trial.suggest_int(key, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return self._tidy(trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log))

    def value(self, value: Any) -> float:
        """The value as this domain writes it.

        Raises:
            ValueError: it lies outside.
        """
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not self.low <= value <= self.high or not self._on_step(value):
            raise ValueError(f"must be {self}, is {value!r}")
        return int(value) if self.whole else self._tidy(float(value))

    def param(self, value: Any) -> CategoricalChoiceType:
        """What Optuna stores for a value; raises as ``value``."""
        return self.value(value)

    def samples(self) -> list[float]:
        """Values that tell whether a key takes this domain: both ends, their neighbours, or one that is not whole.

        A bound that a key has is broken at an end, and a divisor that it asks for by an end or its neighbour.
        """
        if self.whole:
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return sorted({low, min(low + step, high), max(high - step, low), high})
        inner = self.low + (self.step or 0.381966 * (self.high - self.low))
        return [float(self.low), float(self.high), self._tidy(inner)]

    def cells(self) -> list[float] | None:
        """Every value in order, or None where they cannot be counted."""
        step = 1 if self.whole and self.step is None else self.step
        if step is None:
            return None
        count = int((_exact(self.high) - _exact(self.low)) / _exact(step)) + 1
        values = [float(_exact(self.low) + index * _exact(step)) for index in range(count)]
        return [int(value) for value in values] if self.whole else values

    def _on_step(self, value: float) -> bool:
        step = 1 if self.whole and self.step is None else self.step
        return step is None or abs((value - self.low) / step - round((value - self.low) / step)) < 1e-8

    def _tidy(self, value: float) -> float:
        """Return 0.15 where floating-point steps from 0 lead to 0.15000000000000002."""
        if self.step is None:
            return value
        return float(_exact(self.low) + round((value - self.low) / self.step) * _exact(self.step))

    def __str__(self) -> str:
        """In words, for messages."""
        what = "a whole number" if self.whole else "a number"
        step = "" if self.step is None else f" in steps of {self.step:g}"
        return f"{what} from {self.low:g} to {self.high:g}{step}"


@dataclass(frozen=True)
class Choices:
    """One of several values of any type.

    Attributes:
        choices: the values, sequences as lists.
    """

    choices: tuple[Any, ...]

    @cached_property
    def params(self) -> tuple[CategoricalChoiceType, ...]:
        """What Optuna stores for each: itself, or its JSON text where Optuna could not store it or tell it apart."""
        scalars = all(isinstance(choice, bool | int | float | str) for choice in self.choices)
        if scalars and len(set(self.choices)) == len(self.choices):
            return self.choices
        return tuple(json.dumps(choice) for choice in self.choices)

    @property
    def distribution(self) -> BaseDistribution:
        """Optuna's form."""
        return CategoricalDistribution(self.params)

    @property
    def spec(self) -> dict[str, Any]:
        """As it stands in a YAML file."""
        return {"choices": plain(self.choices)}

    def ask(self, trial: BaseTrial, key: str) -> Any:
        """A value that the trial suggests."""
        return self.choices[self.params.index(trial.suggest_categorical(key, self.params))]

    def value(self, value: Any) -> Any:
        """The value as this domain writes it.

        Raises:
            ValueError: it is none of the choices.
        """
        return self.choices[self._place(value)]

    def param(self, value: Any) -> CategoricalChoiceType:
        """What Optuna stores for a value; raises as ``value``."""
        return self.params[self._place(value)]

    def samples(self) -> list[Any]:
        """Values that tell whether a key takes this domain: all of them."""
        return list(self.choices)

    def cells(self) -> list[Any] | None:
        """Every value in order."""
        return list(self.choices)

    def _place(self, value: Any) -> int:
        for place, choice in enumerate(self.choices):
            if same(choice, value):
                return place
        raise ValueError(f"must be {self}, is {value!r}")

    def __str__(self) -> str:
        """In words, for messages."""
        return f"one of {', '.join(map(str, self.choices))}"


Domain = Numbers | Choices


def same(one: Any, other: Any) -> bool:
    """Whether two values of a configuration mean the same: lists and tuples do, 1 and 1.0 do, 1 and true do not."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(plain(one) == plain(other))


def _exact(value: float) -> Decimal:
    """The decimal number a person wrote."""
    return Decimal(str(value))
