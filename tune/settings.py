"""Turns a YAML file or preset and dotted overrides into a ``Config``, and reports every mistake at once.

>>> config = load_config("meld", {"data.shards": "shards/meld", "loss.gamma_ca": 0.4})  # doctest: +SKIP

Unknown keys and wrong types are looked for in all that was written; impossible values (``Config.problems``) in what
the rest amounts to. Each mistake is one line, ``where: key: what must hold, what came``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from dclf.config import Config
from tune.config_files import ConfigError, Entry, Reading, preset_names, read_config_file, suggestion

__all__ = ["ConfigError", "config_parser", "config_types", "describe", "load_config", "preset_names", "read_config"]


def load_config(config: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration of a run, checked.

    Args:
        config: a YAML file or a preset's name; None starts from the defaults.
        overrides: dotted keys such as ``loss.gamma_ca``, or sections as mappings, with values as Python has them or
            as text from a command line.

    Raises:
        ConfigError: with every unknown key, wrong type and impossible value.
    """
    loaded, problems = read_config(config, overrides)
    if problems:
        raise ConfigError(problems)
    return loaded


def read_config(
    config: str | Path | None = None, overrides: Mapping[str, Any] | None = None, *, values: bool = True
) -> tuple[Config, list[str]]:
    """As ``load_config``, with the mistakes returned; keys in error keep their defaults.

    Args:
        config: as for ``load_config``.
        overrides: as for ``load_config``.
        values: whether impossible values count as mistakes, or unknown keys and wrong types only.

    Raises:
        ConfigError: the file cannot be read at all.
    """
    reading = read_config_file(config, _SECTIONS) if config is not None else Reading()
    checked = _Checked()
    for entry in [*reading.entries, *_override_entries(overrides or {})]:
        checked.add(entry)
    checked.check_options()
    loaded = Config.from_dict(checked.nested())
    impossible = checked.located(loaded.problems() if values else [], "" if config is None else f"{config}: ")
    return loaded, [*reading.problems, *checked.problems, *impossible]


def config_types() -> dict[str, Any]:
    """Every dotted key of ``Config`` and its type, in the order of the fields."""
    types: dict[str, Any] = {}
    for section, kind in get_type_hints(Config).items():
        inner = get_type_hints(kind) if is_dataclass(kind) else {}
        types |= {f"{section}.{name}": hint for name, hint in inner.items()} or {section: kind}
    return types


_TYPES = config_types()
_SECTIONS = tuple(dict.fromkeys(key.split(".")[0] for key in _TYPES if "." in key))


def config_parser() -> ArgumentParser:
    """A parser that knows every key of ``Config``: it checks single values here and writes the help of ``train``."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Config, as_group=True)
    return parser


def _override_entries(overrides: Mapping[str, Any]) -> Iterator[Entry]:
    for key, value in overrides.items():
        if key in _SECTIONS and isinstance(value, Mapping):
            yield from _override_entries({f"{key}.{name}": inner for name, inner in value.items()})
        else:
            yield Entry(key, value, "")


@dataclass
class _Checked:
    """Values of the right type, where each was written, and the mistakes found on the way."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    parser: ArgumentParser = field(default_factory=config_parser)

    def add(self, entry: Entry) -> None:
        """Take one value, or note what is wrong with it."""
        parent, _, name = entry.key.rpartition(".")
        place = f"{entry.where}: " if entry.where else ""
        self.places[entry.key] = place
        if entry.key in _TYPES:
            inner = entry.value if isinstance(entry.value, Mapping) else {}
            self.places |= {f"{entry.key}.{name}": place for name in inner}
            self._store(entry.key, entry.value)
        elif get_origin(_TYPES.get(parent)) is dict:
            self._store(parent, {**self.values.get(parent, {}), name: _from_text(entry.value)})
        else:
            self.problems.append(f"{place}{entry.key}: unknown key{_advice(entry.key)}")

    def _store(self, key: str, value: Any) -> None:
        self.rejected.discard(key)
        try:
            self.values[key] = _convert(self.parser, key, _TYPES[key], value)
        except ArgumentError:
            self._reject(key, _TYPES[key], value)

    def _reject(self, key: str, kind: Any, value: Any) -> None:
        self.rejected.add(key)
        self.problems.append(f"{self._place(key)}{key}: must be {describe(kind)}, is {value!r}")

    def check_options(self) -> None:
        """Check ``model.options`` against the base model's own Config; unknown names are left to Config.problems."""
        # Imported here, so that help and documentation need no torch.
        from dclf.models.contract import base_model_class, base_model_names  # noqa: PLC0415

        name = self.values.get("model.name", Config().model.name)
        if name not in base_model_names():
            return
        parser, types = ArgumentParser(exit_on_error=False), get_type_hints(base_model_class(name).Config)
        parser.add_class_arguments(base_model_class(name).Config)
        options = self.values.get("model.options", {})
        for option in [option for option in options if option in types]:
            try:
                options[option] = _convert(parser, option, types[option], options[option])
            except ArgumentError:
                self._reject(f"model.options.{option}", types[option], options.pop(option))

    def nested(self) -> dict[str, Any]:
        """The values as ``Config.from_dict`` takes them."""
        sections: dict[str, Any] = {}
        for key, value in self.values.items():
            section, _, name = key.partition(".")
            if name:
                sections.setdefault(section, {})[name] = value
            else:
                sections[section] = value
        return sections

    def located(self, problems: list[str], elsewhere: str) -> list[str]:
        """Problems of the whole config, each with the place of its key; ``elsewhere`` where nobody wrote that key."""
        keys = [problem.split(": ")[0] for problem in problems]
        return [
            f"{self._place(key, elsewhere)}{problem}"
            for key, problem in zip(keys, problems, strict=True)
            if key not in self.rejected
        ]

    def _place(self, key: str, elsewhere: str = "") -> str:
        return self.places.get(key, self.places.get(key.rpartition(".")[0], elsewhere))


def _convert(parser: ArgumentParser, key: str, kind: Any, value: Any) -> Any:
    """The value in the field's type.

    Raises:
        ArgumentError: it has none.
    """
    if value is None:
        raise ArgumentError(None, "nothing was given")
    value = _listed(kind, value)
    for part in reversed(key.split(".")):
        value = {part: value}
    return parser.parse_object(value, defaults=False)[key]


def _listed(kind: Any, value: Any) -> Any:
    """``text,audio`` and ``[1, 4]`` are lists where the field can hold one."""
    sequence = get_origin(kind) is tuple
    maybe = any(get_origin(member) is tuple for member in get_args(kind))
    if isinstance(value, str) and (sequence or (maybe and "," in value)):
        return [part.strip(" '\"") for part in value.strip("[]() ").split(",")]
    return value


def _from_text(value: Any) -> Any:
    """Overrides inside a mapping have no declared type; text is read as YAML would."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        return value


def _advice(key: str) -> str:
    """What a mistyped key may have meant: one of that name in another section, or one that looks like it."""
    by_name: dict[str, list[str]] = {}
    for known in _TYPES:
        by_name.setdefault(known.rpartition(".")[2], []).append(known)
    name = key.rpartition(".")[2]
    if name in by_name:
        return f"; did you mean {' or '.join(by_name[name])}?"
    return suggestion(key, _TYPES) or suggestion(name, by_name)


_WORDS: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def describe(kind: Any) -> str:
    """A field's type in plain words."""
    origin, members = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, members))}"
    if origin is tuple and members[-1] is Ellipsis:
        return f"a list, each {describe(members[0])}"
    if origin is tuple:
        return f"a list of {len(members)}, each {describe(members[0])}"
    if origin is dict:
        return "a mapping of keys to values"
    return _WORDS.get(kind) or " or ".join(describe(member) for member in members)
