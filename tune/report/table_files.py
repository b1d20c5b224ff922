"""The files of a report's tables, and taking away those of an earlier report that the present one does not write."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

STUDY_TABLES = (
    *("variants", "main", "f1", "accuracy", "shifts", "window", "gammas", "leaderboard", "costs", "published"),
    *("perturbation", "damage", "distance", "optimism"),
)
"""What ``study_tables`` may have."""
SEARCH_TABLES = ("top", "comparison", "front")
_REPORT = re.compile(
    rf"(?:{'|'.join((*STUDY_TABLES, *SEARCH_TABLES))})\.tex|(?:trials|variants|leaderboard|perturbation)\.csv"
)
_REPRODUCTION = re.compile(
    rf"(?:table|figure)-\d+(?:-[a-z0-9-]+)?-(?:scores|compared|{'|'.join(STUDY_TABLES)})\.(?:csv|tex)"
)


def remove_other_tables(folder: Path, names: Collection[str]) -> None:
    """Take away the tables of an earlier report in this folder; files of other names are not a report's.

    Args:
        folder: of the report.
        names: of the files that the present one has.
    """
    _remove(folder, _REPORT, names)


def remove_other_paper_tables(folder: Path, names: Collection[str]) -> None:
    """As ``remove_other_tables``, for the page of a reproduction."""
    _remove(folder, _REPRODUCTION, names)


def _remove(folder: Path, pattern: re.Pattern[str], names: Collection[str]) -> None:
    for path in folder.iterdir():
        if pattern.fullmatch(path.name) and path.name not in names:
            path.unlink()
