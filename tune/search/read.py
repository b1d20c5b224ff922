"""Reads a sweep from a configuration file: the run's configuration and its ``sweep`` section, with every mistake.

>>> config, settings = load_sweep("my.yaml", {"sweep.trials": 20, "loss.ablate": "no_ica"})  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from dclf.config import Config
from tune.config.durations import parse_duration
from tune.config.settings import FILE_SECTIONS, SWEEP, override_entries, read_config
from tune.config.sweep_settings import SweepSettings
from tune.config.typed_values import CheckedValues, class_parser, from_text
from tune.config.yaml_files import ConfigError, Entry, Reading, read_config_file
from tune.search.checks import sweep_problems

__all__ = ["load_sweep", "parse_duration", "read_sweep", "sweep_types"]

STRUCTURED = ("sweep.start_points", "sweep.objectives", "sweep.space")


def load_sweep(
    config: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> tuple[Config, SweepSettings]:
    """The base configuration and the settings of a sweep, checked.

    Args:
        config: a YAML file or a preset's name; None starts from the defaults.
        overrides: dotted keys such as ``loss.ablate`` or ``sweep.trials``.

    Raises:
        ConfigError: with every unknown key, wrong type and impossible value.
    """
    base, settings, problems, _ = read_sweep(config, overrides or {})
    if problems:
        raise ConfigError(problems)
    return base, settings


def read_sweep(
    config: str | Path | None, overrides: Mapping[str, Any], *, values: bool = True
) -> tuple[Config, SweepSettings, list[str], dict[str, str]]:
    """As ``load_sweep``, with the mistakes returned; keys in error keep their defaults.

    Args:
        config: as for ``load_sweep``.
        overrides: as for ``load_sweep``.
        values: whether impossible values count as mistakes, or unknown keys and wrong types only.

    Returns:
        The configuration, the settings, the mistakes, and dotted key -> where it was written, as
        ``typed_values.place_of`` takes it.

    Raises:
        ConfigError: the file, or one that it extends, cannot be read; with the mistakes beside that.
    """
    own = [entry for entry in override_entries(overrides, FILE_SECTIONS) if _is_sweep(entry.key)]
    rest = {key: value for key, value in overrides.items() if not _is_sweep(key)}
    reading = read_config_file(config, FILE_SECTIONS) if config is not None else Reading()
    checked = CheckedValues(types=sweep_types(), parser=class_parser(SweepSettings, SWEEP))
    for entry in [*(entry for entry in reading.entries if _is_sweep(entry.key)), *own]:
        checked.add(_structured(entry))
    try:
        base, problems, places = read_config(config, rest, values=values)
    except ConfigError as error:
        raise ConfigError([*error.problems, *checked.problems]) from None
    settings = SweepSettings.from_dict(_without_prefix(checked.values))
    elsewhere = "" if config is None else f"{config}: "
    impossible = checked.located(sweep_problems(settings, base) if values else [], elsewhere)
    return base, settings, [*problems, *checked.problems, *impossible], {**places, **checked.places}


@cache
def sweep_types() -> Mapping[str, Any]:
    """Every dotted key of the section and its type, in the order of the fields."""
    return {f"{SWEEP}.{name}": kind for name, kind in get_type_hints(SweepSettings).items()}


def _is_sweep(key: str) -> bool:
    return key.partition(".")[0] == SWEEP


def _structured(entry: Entry) -> Entry:
    """Text of a command line for what is no plain value, read as YAML."""
    return replace(entry, value=from_text(entry.value)) if entry.key in STRUCTURED else entry


def _without_prefix(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(f"{SWEEP}."): value for key, value in values.items()}
