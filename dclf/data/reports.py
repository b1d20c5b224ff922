"""Reports that are kept beside shards, as JSON, and hold for these very shards alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from dclf.data.storage import Folder


class Report(Protocol):
    """What can be kept: it knows which shards it is of."""

    @property
    def sha256(self) -> str:
        """Of the shards."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""


R = TypeVar("R", bound=Report)


def write_report(path: str | os.PathLike[str], name: str, report: Report) -> None:
    """Keep a report under this name beside its shards; OSError where the folder cannot be written."""
    Folder.of(path).write_bytes(name, (json.dumps(report.to_dict(), indent=2) + "\n").encode())


def read_report(
    path: str | os.PathLike[str], name: str, sha256: str, from_dict: Callable[[Mapping[str, Any]], R]
) -> R | None:
    """Read what ``write_report`` kept of these very shards; None where nothing is kept, or it is of others."""
    folder = Folder.of(path)
    with suppress(OSError, ValueError, KeyError, TypeError):
        report = from_dict(json.loads(folder.read_bytes(name)))
        return report if report.sha256 == sha256 else None
    return None
