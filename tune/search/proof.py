"""The proof that a configuration takes whatever a space can express, or what it refuses and how to write it instead."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations as choose
from typing import Any

import yaml

from dclf.config import Config
from tune.config.overrides import OPTIONS, refusals, value_of
from tune.config.yaml_files import plain
from tune.search.combinations import combinations
from tune.search.domains import Choices, Numbers, same
from tune.search.space import Space

MOST_LINES = 20
"""Of one group: whoever mends these will have mended the rest."""
LARGEST_CAUSE = 3


@dataclass(frozen=True)
class ProofOutcome:
    """A combination that the space can express.

    Attributes:
        values: dotted key -> value, active parameters only.
        problems: why the configuration refuses it; none where it does not.
    """

    values: Mapping[str, Any]
    problems: Sequence[str]


def outcomes_of(space: Space, config: Config, keys: Sequence[str], own: Sequence[str]) -> list[ProofOutcome]:
    """Every combination of a group of keys, checked as a trial's configuration is.

    Args:
        space: with ``config`` as its base.
        config: the base configuration.
        keys: the group.
        own: the base configuration's own problems.
    """
    return [ProofOutcome(values, refusals(config, values, own)) for values in combinations(space, keys)]


def refusal_lines(space: Space, config: Config, outcomes: Sequence[ProofOutcome]) -> Iterator[str]:
    """What the configuration refuses, as ``sweep.space.KEY: allows VALUE with ..., but ...; write ...``.

    Args:
        space: with ``config`` as its base.
        config: the base configuration.
        outcomes: the combinations of one group.
    """
    witnesses: dict[str, ProofOutcome] = {}
    for one in outcomes:
        for problem in one.problems:
            witnesses.setdefault(problem, one)
    rules: set[tuple[str, str]] = set()
    for problem, witness in witnesses.items():
        cause = _cause(problem, witness, outcomes)
        subject, *others = cause
        # Numbers that break the same rule are one mistake, every choice that is refused is one.
        numbers = any(isinstance(space.domains[key], Numbers) for key in cause)
        rule = (subject, problem.rpartition(", is ")[0] if numbers else problem)
        if rule in rules:
            continue
        rules.add(rule)
        beside = f" with {', '.join(f'{key} {witness.values[key]}' for key in others)}" if others else ""
        advice = _advice(space, config, outcomes, cause, problem, witness)
        yield f"sweep.space.{subject}: allows {witness.values[subject]!r}{beside}, but {problem}{advice}"
        if len(rules) == MOST_LINES:
            return


def _cause(problem: str, witness: ProofOutcome, outcomes: Sequence[ProofOutcome]) -> tuple[str, ...]:
    """The fewest parameters whose values bring the problem about, that of the problem itself first.

    They do where every combination with these values has the problem, or another one of the same key: a base model
    tells of one at a time.
    """
    problem_key = _key(problem)
    keys = [key for key in witness.values if key != problem_key]
    first = (problem_key,) if problem_key in witness.values else ()
    for size in range(LARGEST_CAUSE + 1 - len(first)):
        # Of equals the last: what depends on others stands behind them.
        for some in choose(reversed(keys), size):
            cause = (*first, *some)
            if cause and all(
                problem_key in map(_key, one.problems) for one in outcomes if _agrees(one, witness, cause)
            ):
                return cause
    return (*first, *keys)


def _agrees(one: ProofOutcome, other: ProofOutcome, keys: Sequence[str]) -> bool:
    return all(key in one.values and same(one.values[key], other.values[key]) for key in keys)


def _advice(
    space: Space,
    config: Config,
    outcomes: Sequence[ProofOutcome],
    cause: Sequence[str],
    problem: str,
    witness: ProofOutcome,
) -> str:
    subject, problem_key = cause[0], _key(problem)
    if isinstance(space.domains[subject], Numbers) and "must be a whole number" in problem:
        return "; write int: true"
    if len(cause) == 2 and isinstance(space.domains[cause[1]], Choices):
        return _missing_condition(space, config, outcomes, cause, problem_key, witness)
    if (
        problem_key.startswith(f"{OPTIONS}.")
        and problem_key not in witness.values
        and value_of(config, problem_key) is not None
    ):
        return f"; leave {problem_key} out of the configuration, and give it in the space to the models that have it"
    return ""


def _missing_condition(
    space: Space,
    config: Config,
    outcomes: Sequence[ProofOutcome],
    cause: Sequence[str],
    problem_key: str,
    witness: ProofOutcome,
) -> str:
    """Return the ``when`` that keeps the first key to fitting values of the second; empty where that does not help.

    It helps where there are such values, and the configuration's own value of the first goes with the others.
    """
    subject, other = cause

    def sound(value: Any) -> bool:
        matching = [one for one in outcomes if subject in one.values and same(one.values.get(other), value)]
        return bool(matching) and not any(problem_key in map(_key, one.problems) for one in matching)

    allowed = [value for value in space.domains[other].samples() if sound(value)]
    if not allowed or refusals(config, {other: witness.values[other]}):
        return ""
    conditions = {one.key: plain(one.values) for one in space.conditions.get(subject, ())}
    when = {"when": {**conditions, other: plain(allowed)}}
    text = yaml.safe_dump(when, default_flow_style=True, sort_keys=False, width=math.inf).strip()
    return f"; write {text.removeprefix('{').removesuffix('}')} under it"


def _key(problem: str) -> str:
    return problem.partition(": ")[0]
