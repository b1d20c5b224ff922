"""Where the parts of a report lie, as plain data that one process can tell another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where the parts of a report lie.

    Attributes:
        folder: of all of them.
        html: the whole report in one file.
        markdown: the same, with the figures beside it.
        config: the best configuration for ``dclf train``; None while no trial is complete, and of a comparison.
        tables: name -> CSV or LaTeX file.
        figures: name -> SVG file.
        pictures: name -> the same figure as PNG file.
        missing: name of a figure -> why it is not there.
    """

    folder: Path
    html: Path
    markdown: Path
    config: Path | None
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line."""
        return json.dumps({part.name: getattr(self, part.name) for part in fields(self)}, default=str)

    @classmethod
    def from_json(cls, line: str) -> ReportFiles:
        """The inverse of ``to_json``; KeyError or ValueError when the line is not one."""
        told = json.loads(line)
        return cls(
            folder=Path(told["folder"]),
            html=Path(told["html"]),
            markdown=Path(told["markdown"]),
            config=None if told["config"] is None else Path(told["config"]),
            tables=_paths(told["tables"]),
            figures=_paths(told["figures"]),
            pictures=_paths(told["pictures"]),
            missing=told["missing"],
        )


def _paths(named: Mapping[str, Any]) -> dict[str, Path]:
    return {name: Path(path) for name, path in named.items()}
