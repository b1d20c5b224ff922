"""Dotted overrides of a configuration: reading single keys, and setting several with their types checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

from dclf.config import Config
from tune.config.typed_values import CheckedValues
from tune.config.yaml_files import ConfigError, Entry, plain

OPTIONS, TERMS = "model.options", "loss.terms"
OPEN = (f"{OPTIONS}.", f"{TERMS}.")
"""Below these a configuration has whatever keys a base model or a package has."""


def apply(config: Config, overrides: Mapping[str, Any]) -> Config:
    """The configuration with some keys changed; a base model's options, and terms of the loss, one by one.

    Args:
        config: where all other keys come from.
        overrides: dotted key -> value.

    Raises:
        ConfigError: a key is unknown or a value has the wrong type. Impossible values are left to ``Config.problems``.
    """
    values = {"model.name": config.model.name, OPTIONS: dict(config.model.options), TERMS: dict(config.loss.terms)}
    checked = CheckedValues(values=values)
    for key, value in overrides.items():
        checked.add(Entry(key, value, ""))
    checked.check_options()
    if checked.problems:
        raise ConfigError(checked.problems)
    changes = {section: _changed(getattr(config, section), content) for section, content in checked.nested().items()}
    return replace(config, **changes)


def _changed(section: Any, content: Mapping[str, Any]) -> Any:
    return {**section, **content} if isinstance(section, Mapping) else replace(section, **content)


def refusals(config: Config, overrides: Mapping[str, Any], own: Collection[str] | None = None) -> list[str]:
    """Why these overrides cannot be trained with, as ``key: what must hold, what came``; empty where they can.

    Args:
        config: where all other keys come from.
        overrides: dotted key -> value.
        own: the configuration's own problems, which are left out; asked of it where None.
    """
    own = config.problems() if own is None else own
    try:
        problems: Collection[str] = apply(config, overrides).problems()
    except ConfigError as error:
        problems = error.problems
    return [problem for problem in problems if problem not in own]


def value_of(config: Config, key: str) -> Any:
    """What a configuration says of a dotted key, as plain containers; None where there is no such key.

    A base model's options that it does not name have the model's own defaults.
    """
    if key.startswith(f"{OPTIONS}."):
        return plain(_options(config).get(key.removeprefix(f"{OPTIONS}.")))
    if key.startswith(f"{TERMS}."):
        return plain(config.loss.terms.get(key.removeprefix(f"{TERMS}.")))
    section, _, name = key.partition(".")
    return plain(getattr(getattr(config, section, None), name, None))


def _options(config: Config) -> dict[str, Any]:
    # Imported here, so that help and documentation need no torch.
    from dclf.models.contract import find_base_model  # noqa: PLC0415

    model = find_base_model(config.model.name)
    defaults = {} if model is None else asdict(model.Config())
    return {**defaults, **config.model.options}
