"""Where recorded places lie now, after the folder that they were recorded in was moved or copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dclf.uris import FILE_SCHEMES, file_path, sqlite_path, sqlite_uri

_IN_CONFIG = (("data", "shards"), ("train", "storage"), ("track", "uri"))
"""Keys of a configuration that hold places."""


def relocated(place: str, old: Path, new: Path) -> str:
    """Where a recorded place lies now that the folder which it was recorded in lies elsewhere.

    What lay in the folder itself is looked for in it. What lay outside, but within that which was moved (of
    ``/p/dclf-runs``, now ``/q/dclf-runs``, that is ``/p``), is where it was unless it came along.

    Args:
        place: a path, an SQLite or ``file:`` URI; whatever else it is, and a relative path, comes back as it is.
        old: where the folder lay.
        new: where it lies.
    """
    path = local_path(place)
    if path is None or same_folder(old, new):
        return place
    before, after = _differing(old, new)
    if not path.is_relative_to(before):
        return place
    moved = after / path.relative_to(before)
    if not path.is_relative_to(old) and not moved.exists():
        return place
    return sqlite_uri(moved) if place.startswith("sqlite") else str(moved)


def with_places(config: Mapping[str, Any], here: Callable[[str], str]) -> dict[str, Any]:
    """A configuration as nested dictionaries with what ``here`` makes of its places."""
    moved = {name: dict(section) if isinstance(section, Mapping) else section for name, section in config.items()}
    for section, key in _IN_CONFIG:
        if moved.get(section, {}).get(key):
            moved[section][key] = here(moved[section][key])
    return moved


def same_folder(one: Path, other: Path) -> bool:
    """Whether two paths name one folder, through whatever links."""
    return one == other or (one.exists() and other.exists() and one.samefile(other))


def local_path(place: str) -> Path | None:
    """The absolute path that a place names; None for a relative one, and for what lies in no folder of this machine."""
    try:
        path = file_path(place) if place.startswith(FILE_SCHEMES) else sqlite_path(place) or Path(place)
    except ValueError:
        return None
    return path if path.is_absolute() else None


def _differing(old: Path, new: Path) -> tuple[Path, Path]:
    """The two folders that were told apart by the move: their names below are the same."""
    while old.name and old.name == new.name:
        old, new = old.parent, new.parent
    return old, new
