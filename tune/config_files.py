"""Reads configuration files and keeps the place of every key, so that a mistake can be shown where it stands.

A configuration is a YAML file or the name of a preset. Its top-level key ``extends`` names another one, read first
and overridden key by key; everything else is a section of ``dclf.config.Config``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

EXTENDS = "extends"
_MERGE = "tag:yaml.org,2002:merge"


class ConfigError(ValueError):
    """A configuration that cannot be run.

    Attributes:
        problems: every mistake found, each one line that names its place.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


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
    """

    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def preset_names() -> tuple[str, ...]:
    """Names of the presets that ship with the package, sorted."""
    return tuple(sorted(Path(entry.name).stem for entry in files("dclf").joinpath("presets").iterdir()))


def suggestion(word: str, choices: Iterable[str]) -> str:
    """``; did you mean X?`` for the choice most like a mistyped word, or nothing."""
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


def read_config_file(config: str | Path, sections: Iterable[str]) -> Reading:
    """Every value of a configuration and of those it extends.

    Args:
        config: path of a YAML file, or a preset's name.
        sections: the keys whose values are mappings of keys of their own.

    Raises:
        ConfigError: no such file or preset, or it cannot be read as YAML.
    """
    reading = Reading()
    _read(config, "config", frozenset(sections), (), reading)
    return reading


def _read(config: str | Path, asked_at: str, sections: frozenset[str], seen: tuple[str, ...], reading: Reading) -> None:
    name, text = _find(config, asked_at)
    if name in seen:
        reading.problems.append(f"{asked_at}: must not lead back to itself, but {' -> '.join([*seen, name])}")
        return
    document = _Document(name, text, sections, reading.problems)
    own = document.entries()
    for entry in own:
        if entry.key == EXTENDS:
            base = _beside(entry.value, config)
            _read(base, f"{entry.where}: {EXTENDS}", sections, (*seen, name), reading)
    reading.entries += [entry for entry in own if entry.key != EXTENDS]


def _find(config: str | Path, asked_at: str) -> tuple[str, str]:
    """The display name and text of a configuration file or preset."""
    if Path(config).is_file():
        return str(config), Path(config).read_text(encoding="utf-8")
    presets = preset_names()
    if str(config) in presets:
        return f"preset {config}", files("dclf").joinpath("presets", f"{config}.yaml").read_text(encoding="utf-8")
    hint = suggestion(str(config), presets)
    raise ConfigError([f"{asked_at}: must be a YAML file or a preset ({', '.join(presets)}), is {str(config)!r}{hint}"])


def _beside(base: Any, config: str | Path) -> Path | str:
    """A relative path in ``extends`` starts at the folder of the file that says so."""
    candidate = Path(config).parent / str(base)
    return candidate if candidate.is_file() else str(base)


class _Document:
    """One YAML document; mistakes of form go to ``problems``."""

    def __init__(self, name: str, text: str, sections: frozenset[str], problems: list[str]) -> None:
        self.name, self.text, self.sections, self.problems = name, text, sections, problems
        self._first: dict[str, str] = {}

    def entries(self) -> list[Entry]:
        loader = yaml.SafeLoader(self.text)
        try:
            root = loader.get_single_node()
            return [] if root is None else list(self._sections(loader, root))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise ConfigError([f"{self.name}:{line}: must be YAML, {error.problem}"]) from error
        except yaml.YAMLError as error:
            raise ConfigError([f"{self.name}: must be YAML, {error}"]) from error
        finally:
            loader.dispose()

    def _sections(self, loader: yaml.SafeLoader, root: yaml.Node) -> Iterator[Entry]:
        for section, node, where in self._pairs(loader, root, "", f"{self.name}:1"):
            if section not in self.sections:
                yield self._entry(loader, section, node, where)
            elif node.tag != "tag:yaml.org,2002:null":
                for key, value, at in self._pairs(loader, node, f"{section}.", where):
                    yield self._entry(loader, key, value, at)

    def _entry(self, loader: yaml.SafeLoader, key: str, node: yaml.Node, where: str) -> Entry:
        inner: dict[str, str] = {}
        # Keys that YAML merges in (`<<`) have no place of their own, and may be overridden.
        if isinstance(node, yaml.MappingNode) and not any(name.tag == _MERGE for name, _ in node.value):
            pairs = self._pairs(loader, node, f"{key}.", where)
            inner = {name.removeprefix(f"{key}."): at for name, _, at in pairs}
        return Entry(key, loader.construct_object(node, deep=True), where, inner)

    def _pairs(
        self, loader: yaml.SafeLoader, node: yaml.Node, prefix: str, place: str
    ) -> Iterator[tuple[str, yaml.Node, str]]:
        """Dotted key, value and place of each pair of a mapping; YAML itself lets the last of two equal keys win."""
        if not isinstance(node, yaml.MappingNode):
            what = f"{prefix.rstrip('.')}: " if prefix else ""
            self.problems.append(f"{place}: {what}must be a mapping of keys to values, is a {_kind(node)}")
            return
        for key_node, value in node.value:
            key = f"{prefix}{loader.construct_object(key_node, deep=True)}"
            where = f"{self.name}:{key_node.start_mark.line + 1}"
            if key in self._first:
                self.problems.append(f"{where}: {key}: must stand once, but stands at {self._first[key]} already")
            else:
                self._first[key] = where
                yield key, value, where


def _kind(node: yaml.Node) -> str:
    return type(node).__name__.removesuffix("Node").lower()
