"""What other packages may add to: base models, importers, extractors, samplers and loss terms.

An extension has a name. It is one that ships, the name of an entry point of an installed package, or a class path
``package.module:Name``, which needs no installation: Python has to find the module in every process that trains. The
configuration holds the name as it was written, and every process looks it up for itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from dclf.errors import UserError
from dclf.prose import suggestion


class ExtensionError(UserError, ValueError):
    """A name is unknown or given twice, cannot be imported, or is not what it must be.

    Attributes:
        reason: the message without what the name is of, to stand behind a key of the configuration.
    """

    def __init__(self, noun: str, reason: str) -> None:
        super().__init__(f"{noun}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class ExtensionPoint:
    """One kind of extension.

    Attributes:
        group: of the entry points.
        noun: what an extension is called in messages.
        shipped: name -> class path of our own.
        reserved: names that no entry point may have, beside those that ship.
    """

    group: str
    noun: str
    shipped: Mapping[str, str] = field(default_factory=dict)
    reserved: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Those that ship, in their order, and those of installed packages, sorted."""
        return (*self.shipped, *sorted({point.name for point in installed(self.group)} - {*self.shipped}))

    def origin(self, name: str) -> str:
        """The package that brings a name: ``package version``; empty for one that ships and for a class path."""
        return next((_package(point) for point in installed(self.group) if point.name == name), "")

    def class_path(self, name: str) -> str:
        """What a name stands for, as ``package.module:Name``; itself where it is unknown."""
        points = (point.value for point in installed(self.group) if point.name == name)
        return self.shipped.get(name) or next(points, name)

    def require_single(self, name: str) -> None:
        """Refuse a name that more than one package gives; nothing is imported.

        Raises:
            ExtensionError: names all places.
        """
        places = [f"{_package(point)} ({point.value})" for point in installed(self.group) if point.name == name]
        if name in self.shipped:
            places.insert(0, f"dclf ({self.shipped[name]})")
        elif name in self.reserved:
            places.insert(0, "dclf itself")
        if len(places) > 1:
            raise ExtensionError(
                self.noun,
                f"the name {name!r} must be of one package, is of {' and of '.join(places)}; uninstall one, or rename "
                f"the entry point in the group {self.group}",
            )

    def load(self, name: str) -> Any:
        """The extension of this name.

        Raises:
            ExtensionError: the name is unknown or given twice, or what it stands for cannot be imported.
        """
        if ":" in name:
            return self._imported(repr(name), name)
        self.require_single(name)
        if name in self.shipped:
            return self._imported(repr(name), self.shipped[name])
        point = next((point for point in installed(self.group) if point.name == name), None)
        if point is None:
            choices = f"one of {', '.join(self.names())}, or " if self.names() else ""
            raise ExtensionError(
                self.noun, f"must be {choices}a class path MODULE:NAME, is {name!r}{suggestion(name, self.names())}"
            )
        return self._imported(f"{name!r} of {_package(point)}, {point.value},", point.value)

    def _imported(self, label: str, path: str) -> Any:
        module, _, names = path.partition(":")
        if module == "__main__":
            raise ExtensionError(
                self.noun, f"must be in a module that other processes can import, is {label}; write it into a file"
            )
        try:
            target: Any = import_module(module)
            for name in names.split("."):
                target = getattr(target, name)
        except Exception as error:  # whatever another package's code raises
            raise ExtensionError(
                self.noun,
                f"{label} cannot be imported: {type(error).__name__}: {error}; install its package beside dclf, or put "
                "its folder on PYTHONPATH",
            ) from error
        return target

    def refuse(self, name: str, must: str, value: object) -> ExtensionError:
        """The error for an extension that is not what it must be.

        Args:
            name: as it was given.
            must: what must hold.
            value: what came instead.
        """
        return ExtensionError(self.noun, f"{name!r} must be {must}, is {value}")


@cache
def installed(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, read once: it looks at every installed package."""
    # A folder that stands twice on Python's path gives its packages twice.
    points = {(point.name, point.value, _package(point)): point for point in entry_points(group=group)}
    return tuple(points.values())


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"


def summary_of(extension: Any) -> str:
    """The first line of its docstring; empty where it has none."""
    return (inspect.getdoc(extension) or "").partition("\n")[0]
