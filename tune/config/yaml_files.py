"""Reads configuration files and keeps the place of every key, so that a mistake can be shown where it stands.

A configuration is a YAML file or the name of a preset. Its top-level key ``extends`` names another one, read first
and overridden key by key; everything else is a section of ``dclf.config.Config``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from dclf.errors import UserError
from dclf.labels import quoted_value
from dclf.prose import suggestion

EXTENDS = "extends"
UNREADABLE = (ValueError, LookupError, AttributeError, TypeError)
"""What PyYAML raises for a date that there is not, thousands of digits, or text with a tag that it does not fit."""
_LONGEST_PLACE = 300
_MERGE = "tag:yaml.org,2002:merge"


class ConfigError(UserError, ValueError):
    """A configuration that cannot be run.

    Attributes:
        problems: every mistake found, each one line that names its place.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


@dataclass(frozen=True)
class Entry:
    """One value somebody wrote.

    Attributes:
        key: dotted, such as ``loss.gamma_ca``.
        value: as YAML or Python reads it, its type still unchecked.
        where: ``file:line`` or ``--option``, for messages.
        inner: where the keys of a mapping stand that is the value.
    """

    key: str
    value: Any
    where: str
    inner: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Reading:
    """What was found in a configuration file and those it extends.

    Attributes:
        entries: every value, the extended files' first.
        problems: mistakes in the files' form, each one line.
        unread: why a file or preset could not be read, each one line; what it would set is then not known.
    """

    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def is_file(place: str | Path) -> bool:
    """Whether a file is there; a name that no file can have is none."""
    try:
        return Path(place).is_file()
    except OSError:  # too long
        return False


def is_folder(place: str | Path) -> bool:
    """Whether a folder is there."""
    try:
        return str(place) != "" and Path(place).is_dir()
    except OSError:  # too long
        return False


def preset_names() -> tuple[str, ...]:
    """Names of the presets that ship with the package, sorted."""
    return tuple(sorted(Path(entry.name).stem for entry in files("dclf").joinpath("presets").iterdir()))


def plain(value: Any) -> Any:
    """Tuples as lists, the form in which YAML and JSON give a value back."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def read_config_file(config: str | Path, sections: Iterable[str]) -> Reading:
    """Every value of a configuration and of those it extends.

    Args:
        config: path of a YAML file, or a preset's name.
        sections: the keys whose values are mappings of keys of their own.
    """
    reading = Reading()
    _read(config, "config", frozenset(sections), (), reading)
    return reading


def _read(
    config: str | Path, asked_at: str, sections: frozenset[str], chain: tuple[str, ...], reading: Reading
) -> None:
    try:
        name, text = _find(config, asked_at)
        if name in chain:
            reading.problems.append(f"{asked_at}: must not lead back to itself, but {' -> '.join([*chain, name])}")
            return
        own, problems = _document(name, text, sections)
    except ConfigError as error:
        reading.unread += error.problems
        return
    reading.problems += problems
    for entry in own:
        if entry.key == EXTENDS:
            base = _beside(entry.value, config)
            _read(base, f"{entry.where}: {EXTENDS}", sections, (*chain, name), reading)
    reading.entries += [replace(entry, value=deepcopy(entry.value)) for entry in own if entry.key != EXTENDS]


@lru_cache(maxsize=64)
def _document(name: str, text: str, sections: frozenset[str]) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries of a file, and the mistakes of its form.

    They are kept, as a leaderboard or a reproduction reads the same presets many times, at 25 milliseconds each.

    Raises:
        ConfigError: the text is no YAML.
    """
    problems: list[str] = []
    return tuple(_Document(name, text, sections, problems).entries()), tuple(problems)


def _find(config: str | Path, asked_at: str) -> tuple[str, str]:
    """The display name and text of a configuration file or preset.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    if not isinstance(config, str | Path):
        raise ConfigError([f"{asked_at}: must be a YAML file or a preset's name, is {config!r}"])
    if is_file(config):
        return str(config), _text(Path(config), asked_at)
    presets = preset_names()
    if str(config) in presets:
        return f"preset {config}", files("dclf").joinpath("presets", f"{config}.yaml").read_text(encoding="utf-8")
    hint = "" if is_folder(config) else suggestion(str(config), presets)
    what = f"{'the folder ' if is_folder(config) else ''}{quoted_value(str(config), _LONGEST_PLACE)}{hint}"
    raise ConfigError([f"{asked_at}: must be a YAML file or a preset ({', '.join(presets)}), is {what}"])


def _text(file: Path, asked_at: str) -> str:
    """The text of a file.

    Raises:
        ConfigError: it cannot be read, or is not in UTF-8.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError([f"{asked_at}: {file} must be a file that can be read ({error.strerror})"]) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = f"has the byte 0x{content[error.start]:02x}"
        raise ConfigError([f"{file}:{line}: must be text in UTF-8, {wrong}; save the file as UTF-8"]) from None


def _beside(base: Any, config: str | Path) -> Path | str:
    """Return the path in ``extends``; a relative one starts at the folder of the file that names it."""
    candidate = Path(config).parent / str(base)
    return candidate if is_file(candidate) else str(base)


class _Document:
    """One YAML document; mistakes of form go to ``problems``."""

    def __init__(self, name: str, text: str, sections: frozenset[str], problems: list[str]) -> None:
        self.name, self.text, self.sections, self.problems = name, text, sections, problems
        self._first: dict[str, str] = {}

    def entries(self) -> list[Entry]:
        try:
            loader = yaml.SafeLoader(self.text)
            root = loader.get_single_node()
            return [] if root is None else list(self._sections(loader, root))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise ConfigError([f"{self.name}:{line}: must be YAML, {error.problem}"]) from error
        except yaml.reader.ReaderError as error:
            line, character = self.text.count("\n", 0, error.position) + 1, f"U+{ord(self.text[error.position]):04X}"
            raise ConfigError([f"{self.name}:{line}: must be YAML, which has no character {character}"]) from error
        except RecursionError:
            raise ConfigError([f"{self.name}: must be YAML that can be read, is nested too deeply"]) from None

    def _sections(self, loader: yaml.SafeLoader, root: yaml.Node) -> Iterator[Entry]:
        for section, node, where in self._pairs(loader, root, "", f"{self.name}:1"):
            if section not in self.sections:
                yield from self._entry(loader, section, node, where)
            elif node.tag != "tag:yaml.org,2002:null":
                for key, value, at in self._pairs(loader, node, f"{section}.", where):
                    yield from self._entry(loader, key, value, at)

    def _entry(self, loader: yaml.SafeLoader, key: str, node: yaml.Node, where: str) -> Iterator[Entry]:
        inner: dict[str, str] = {}
        if isinstance(node, yaml.MappingNode):
            pairs = self._pairs(loader, node, f"{key}.", where)
            inner = {name.removeprefix(f"{key}."): at for name, _, at in pairs}
        try:
            yield Entry(key, loader.construct_object(node, deep=True), where, inner)
        except UNREADABLE as error:
            self.problems.append(
                f"{where}: {key}: must be a value that YAML can read ({str(error)[:60]}); put text in quotes"
            )

    def _pairs(
        self, loader: yaml.SafeLoader, node: yaml.Node, prefix: str, place: str
    ) -> Iterator[tuple[str, yaml.Node, str]]:
        """Dotted key, value and place of each pair of a mapping; YAML itself lets the last of two equal keys win.

        What YAML merges in (``<<``) holds where the mapping has no such key; its place is where it is written.
        """
        if not isinstance(node, yaml.MappingNode):
            what = f"{prefix.rstrip('.')}: " if prefix else ""
            self.problems.append(f"{place}: {what}must be a mapping of keys to values, is a {_kind(node)}")
            return
        own = [(name, value) for name, value in node.value if name.tag != _MERGE]
        loader.flatten_mapping(node)
        merged = [
            (*self._key_and_place(loader, prefix, name), value)
            for name, value in node.value[: len(node.value) - len(own)]
        ]
        stands: set[str] = set()
        for name, value in own:
            key, where = self._key_and_place(loader, prefix, name)
            stands.add(key)
            if key in self._first:
                self.problems.append(f"{where}: {key}: must stand once, but stands at {self._first[key]} already")
            else:
                self._first[key] = where
                yield key, value, where
        last = {key: (key, value, where) for key, where, value in merged if key not in stands}
        yield from last.values()

    def _key_and_place(self, loader: yaml.SafeLoader, prefix: str, node: yaml.Node) -> tuple[str, str]:
        """The dotted key that a node is, as it is written, and its place."""
        name = node.value if isinstance(node, yaml.ScalarNode) else loader.construct_object(node, deep=True)
        return f"{prefix}{name}", f"{self.name}:{node.start_mark.line + 1}"


def _kind(node: yaml.Node) -> str:
    return type(node).__name__.removesuffix("Node").lower()
