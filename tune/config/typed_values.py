"""Checks single values against the types of dataclass fields, and remembers where each was written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, is_dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from dclf.config import Config
from dclf.labels import quoted_value
from dclf.prose import suggestion
from tune.config.yaml_files import UNREADABLE, Entry


@cache
def config_types(settings: type[Any] = Config) -> Mapping[str, Any]:
    """Every dotted key of ``Config``, or of other settings, and its type, in the order of the fields."""
    types: dict[str, Any] = {}
    for section, kind in get_type_hints(settings).items():
        inner = get_type_hints(kind) if is_dataclass(kind) else {}
        types |= {f"{section}.{name}": hint for name, hint in inner.items()} or {section: kind}
    return types


@cache
def class_parser(kind: type[Any], section: str | None = None) -> ArgumentParser:
    """Checks values of a dataclass's fields; kept, as making a parser takes longer than using it.

    Args:
        kind: the dataclass.
        section: stands before each field's name, with a dot; None for nothing.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, section)
    return parser


_PLAIN = (bool, int, float, str)
"""Types whose values need no conversion, as those of a search mostly are."""
_WHOLE_LIMIT = 2**63


@dataclass
class CheckedValues:
    """Values of the right type, where each was written, and the mistakes found on the way.

    Attributes:
        values: dotted key -> value, as far as sound.
        places: dotted key -> ``file:line: ``, or nothing.
        rejected: keys whose value has the wrong type.
        problems: mistakes, each one line.
        types: dotted key -> type, the keys there are.
        parser: knows these keys.
    """

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    types: Mapping[str, Any] = field(default_factory=config_types)
    parser: ArgumentParser = field(default_factory=lambda: class_parser(Config))

    def add(self, entry: Entry) -> None:
        """Take one value, or note what is wrong with it."""
        place = f"{entry.where}: " if entry.where else ""
        self.places[entry.key] = place
        if entry.key in self.types:
            inner = entry.value if isinstance(entry.value, Mapping) else {}
            self.places |= {f"{entry.key}.{name}": place for name in inner}
            self.places |= {f"{entry.key}.{name}": f"{at}: " for name, at in entry.inner.items()}
            self._store(entry.key, entry.value)
        elif parent := self._mapping_of(entry.key):
            name = entry.key.removeprefix(f"{parent}.")
            texts = get_args(self.types[parent])[-1] is str
            value = entry.value if texts else from_text(entry.value)
            self._store(parent, {**self.values.get(parent, {}), name: value})
        else:
            self.problems.append(f"{place}{entry.key}: unknown key{advice(entry.key, self.types)}")

    def _mapping_of(self, key: str) -> str:
        """The key whose value is a mapping that this key belongs into, or nothing."""
        mappings = (mapping for mapping, kind in self.types.items() if get_origin(kind) is dict)
        return next((mapping for mapping in mappings if key.startswith(f"{mapping}.")), "")

    def _store(self, key: str, value: Any) -> None:
        self.rejected.discard(key)
        try:
            self.values[key] = _convert(self.parser, key, self.types[key], value)
        except _MisfitError as error:
            self._reject(key, str(error), value)

    def _reject(self, key: str, must: str, value: Any) -> None:
        self.rejected.add(key)
        self.problems.append(f"{self._place(key)}{key}: must be {must}, is {quoted_value(value)}")

    def check_options(self) -> None:
        """Check ``model.options`` against the base model's own Config; unknown names are left to Config.problems."""
        options = self.values.get("model.options", {})
        if not options:
            return
        # Imported here, so that who sets none needs no torch.
        from dclf.models.contract import find_base_model  # noqa: PLC0415

        model = find_base_model(self.values.get("model.name", Config().model.name))
        if model is None:
            return
        kind: Any = model.Config
        parser, types = class_parser(kind), get_type_hints(kind)
        for option in [option for option in options if option in types]:
            try:
                options[option] = _convert(parser, option, types[option], options[option])
            except _MisfitError as error:
                self._reject(f"model.options.{option}", str(error), options.pop(option))

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
        return place_of(key, self.places, elsewhere)


def place_of(key: str, places: Mapping[str, str], elsewhere: str = "") -> str:
    """Where a dotted key was written, or the mapping that it lies in; ``elsewhere`` where nobody wrote either."""
    while key and key not in places:
        key = key.rpartition(".")[0]
    return places.get(key, elsewhere)


class _MisfitError(ValueError):
    """A value cannot be a field's; the message says what must be."""


def _convert(parser: ArgumentParser, key: str, kind: Any, value: Any) -> Any:
    """The value in the field's type.

    Raises:
        _MisfitError: it has none, or is none that the libraries below can hold.
    """
    if value is None and type(None) in get_args(kind):
        return None
    converted = _plain(kind, value)
    if converted is None:
        converted = _parsed(parser, key, kind, value)
    for part in converted if isinstance(converted, tuple) else (converted,):
        if isinstance(part, int) and not -_WHOLE_LIMIT <= part < _WHOLE_LIMIT:
            raise _MisfitError("a whole number of at most 64 bits")
        if isinstance(part, str) and "\0" in part:
            raise _MisfitError("text without NUL characters")
    return converted


def _plain(kind: Any, value: Any) -> Any:
    """The value where it needs no conversion; None where it may."""
    if type(value) is kind and kind in _PLAIN:
        return value
    return dict(value) if kind == dict[str, Any] and _is_plain(value) else None


def _parsed(parser: ArgumentParser, key: str, kind: Any, value: Any) -> Any:
    if value is None:
        raise _MisfitError(describe(kind))
    nested = _listed(kind, value)
    for part in reversed(key.split(".")):
        nested = {part: nested}
    try:
        return parser.parse_object(nested, defaults=False)[key]
    except (ArgumentError, *UNREADABLE):  # jsonargparse reads text as YAML, too
        texts = isinstance(value, Mapping) and get_args(kind)[-1:] == (str,)
        raise _MisfitError("a mapping of keys to text, numbers in quotes" if texts else describe(kind)) from None


def _is_plain(value: Any) -> bool:
    """Whether a mapping holds numbers under names; in text there may be YAML."""
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(item, bool | int | float) for name, item in value.items()
    )


def _listed(kind: Any, value: Any) -> Any:
    """``text,audio`` and ``[1, 4]`` are lists where the field can hold one."""
    sequence = get_origin(kind) is tuple
    maybe = any(get_origin(member) is tuple for member in get_args(kind))
    if isinstance(value, str) and (sequence or (maybe and "," in value)):
        return [part.strip(" '\"") for part in value.strip("[]() ").split(",")]
    return value


def from_text(value: Any) -> Any:
    """Return the value of an override inside a mapping, which has no declared type: text is read as YAML."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except (yaml.YAMLError, *UNREADABLE, RecursionError):  # no YAML, a date that there is not, brackets without end
        return value


def advice(key: str, keys: Collection[str]) -> str:
    """What a mistyped key may have meant: one of that name in another section, or one that looks like it."""
    by_name: dict[str, list[str]] = {}
    for candidate in keys:
        by_name.setdefault(candidate.rpartition(".")[2], []).append(candidate)
    name = key.rpartition(".")[2]
    if name in by_name:
        return f"; did you mean {' or '.join(by_name[name])}?"
    return suggestion(key, keys) or suggestion(name, by_name)


_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "null",
}


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
