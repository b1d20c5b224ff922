"""Turns a YAML file or preset and dotted overrides into a ``Config``, and reports every mistake at once.

>>> config = load_config("meld", {"data.shards": "shards/meld", "loss.gamma_ca": 0.4})  # doctest: +SKIP

Unknown keys and wrong types are looked for in all that was written; impossible values (``Config.problems``) in what
the rest amounts to. Each mistake is one line, ``where: key: what must hold, what came``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from dclf.config import Config
from dclf.errors import WrongInputError
from tune.config.typed_values import CheckedValues, config_types, describe
from tune.config.yaml_files import ConfigError, Entry, Reading, preset_names, read_config_file

__all__ = ["ConfigError", "config_types", "describe", "load_config", "preset_names", "read_config"]


def load_config(config: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration of a run, checked.

    Args:
        config: a YAML file or a preset's name; None starts from the defaults.
        overrides: dotted keys such as ``loss.gamma_ca``, or sections as mappings, with values as Python has them or
            as text from a command line.

    Raises:
        ConfigError: with every unknown key, wrong type and impossible value.
    """
    loaded, problems, _ = read_config(config, overrides)
    if problems:
        raise ConfigError(problems)
    return loaded


def read_config(
    config: str | Path | None = None, overrides: Mapping[str, Any] | None = None, *, values: bool = True
) -> tuple[Config, list[str], dict[str, str]]:
    """As ``load_config``, with the mistakes returned; keys in error keep their defaults.

    Args:
        config: as for ``load_config``.
        overrides: as for ``load_config``.
        values: whether impossible values count as mistakes, or unknown keys and wrong types only.

    Returns:
        The configuration, the mistakes, and dotted key -> where it was written, as ``typed_values.place_of`` takes it.

    Raises:
        ConfigError: the file, or one that it extends, cannot be read; with the mistakes beside that.
    """
    reading = read_config_file(config, FILE_SECTIONS) if config is not None else Reading()
    # A file's section on sweeps is for those who sweep (tune.search.read); given as an override it is a mistake here.
    own = [entry for entry in reading.entries if not entry.key.startswith(f"{SWEEP}.")]
    checked = CheckedValues()
    for entry in [*own, *override_entries(overrides or {}, _SECTIONS)]:
        checked.add(entry)
    if reading.unread:
        raise ConfigError([*reading.unread, *reading.problems, *checked.problems])
    checked.check_options()
    loaded = Config.from_dict(checked.nested())
    impossible = checked.located(loaded.problems() if values else [], "" if config is None else f"{config}: ")
    return loaded, [*reading.problems, *checked.problems, *impossible], checked.places


def require_config(config: object) -> None:
    """Refuse what is no ``Config``, such as the name of one.

    Raises:
        WrongInputError: it is none.
    """
    if not isinstance(config, Config):
        raise WrongInputError(f"config must be a dclf.config.Config, is {config!r}; make one by tune.load_config(...)")


_SECTIONS = tuple(dict.fromkeys(key.split(".")[0] for key in config_types() if "." in key))
SWEEP = "sweep"
FILE_SECTIONS = (*_SECTIONS, SWEEP)
"""The sections of a configuration file: those of ``Config``, and what a sweep reads beside it."""


def override_entries(overrides: Mapping[str, Any], sections: Collection[str]) -> Iterator[Entry]:
    """One entry per dotted key; a section given as a mapping is taken apart."""
    for key, value in overrides.items():
        if key in sections and isinstance(value, Mapping):
            yield from override_entries({f"{key}.{name}": inner for name, inner in value.items()}, ())
        else:
            yield Entry(key, value, "")
