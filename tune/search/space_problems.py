"""What is wrong with a search space: keys that are none or cannot vary, conditions, and values the config refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dclf.config import Config
from tune.config.overrides import OPEN, refusals, value_of
from tune.config.typed_values import advice, config_types
from tune.search.combinations import above, groups
from tune.search.conditions import Condition
from tune.search.proof import outcomes_of, refusal_lines
from tune.search.space import Space

PLANNED = "all trials of a study have the same slots"
CONSTANT: Mapping[str, str] = {
    "data.shards": "the trials of a study see one data set",
    "train.seed": "sweep.seeds trains each trial with several",
    "train.protocol": "it changes no training",
    "train.perturb_every": "it changes no training",
    "train.storage": "a study keeps its own checkpoints",
    "train.workers": f"{PLANNED}; see sweep.workers_per_trial",
    "train.cpus_per_worker": PLANNED,
    "train.placement": "it changes no training",
    "train.device": PLANNED,
    "published": "it changes no training",
    "track": "it changes no training",
}
"""Keys, or sections, that must be the same in all trials, and why."""


def space_problems(space: Space, config: Config, *, every: bool = True) -> list[str]:
    """Every mistake of a space, as ``sweep.space.KEY: what must hold, what came``; empty when it is sound.

    Args:
        space: what is searched.
        config: the base configuration.
        every: whether the configuration must take every combination that the space can express.
    """
    space = space.based_on(config)
    problems = [*space.form_problems, *_key_problems(space), *_condition_problems(space, config)]
    wrong = {line.split(": ")[0].removeprefix("sweep.space.") for line in problems}
    usable = [key for key in space.domains if key not in wrong]
    # Values are tried in the order of dependence, which a cycle does not have.
    if every and not any("lead back" in line for line in problems):
        problems += _value_problems(space, config, [key for key in usable if not above(space, [key]) & wrong])
    return problems


def _key_problems(space: Space) -> Iterator[str]:
    for key in {**space.domains, **space.mistakes}:
        reason = CONSTANT.get(key) or CONSTANT.get(key.partition(".")[0])
        if reason:
            yield f"sweep.space.{key}: cannot be searched: {reason}"
        elif not _is_key(key):
            yield f"sweep.space.{key}: unknown key{advice(key, config_types())}"


def _is_key(key: str) -> bool:
    return key in config_types() or key.startswith(OPEN)


def _condition_problems(space: Space, config: Config) -> Iterator[str]:
    for key, conditions in space.conditions.items():
        for condition in conditions:
            if condition.key not in space.domains:
                yield from _outside_problems(key, condition, config)
                continue
            for value in condition.values:
                try:
                    space.domains[condition.key].value(value)
                except ValueError as error:
                    yield f"sweep.space.{key}: when {condition.key} can never hold, its value {error}"


def _outside_problems(key: str, condition: Condition, config: Config) -> Iterator[str]:
    """Yield why a condition on a key outside the space never could hold; that it does not hold now is no mistake."""
    if not _is_key(condition.key) or value_of(config, condition.key) is None:
        hint = advice(condition.key, config_types())
        yield f"sweep.space.{key}: when {condition.key}: neither in the space nor in the configuration{hint}"
        return
    for value in condition.values:
        for problem in refusals(config, {condition.key: value}):
            yield f"sweep.space.{key}: when {condition.key} can never hold: {problem}"


def _value_problems(space: Space, config: Config, keys: Sequence[str]) -> list[str]:
    """What the configuration refuses of all that the space can express, and parameters that are never asked."""
    own = [*config.problems(), *refusals(config, {})]
    outcomes = {group[0]: outcomes_of(space, config, group, own) for group in groups(keys)}
    # A parameter on which several groups depend is refused in each.
    lines = list(dict.fromkeys(line for several in outcomes.values() for line in refusal_lines(space, config, several)))
    used = {key for several in outcomes.values() for one in several for key in one.values}
    lines += [
        f"sweep.space.{key}: when can never hold, its conditions exclude each other"
        for key in keys
        if key not in used and all(condition.key in space.domains for condition in space.conditions[key])
    ]
    if not lines and keys and not used:
        lines.append("sweep.space: must ask for at least one parameter, but no condition holds")
    return lines
