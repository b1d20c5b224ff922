"""What reports import, told without importing any of it."""

from __future__ import annotations

import os
from pathlib import Path

from tune.local_files import cache_folder

FIRST_USED = (
    "pandas",
    "scipy.sparse.linalg",
    "contourpy",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
)
"""What a report imports when it first uses it: a second, which then nothing else would fill."""
_IMPORTED = (
    "optuna",
    "matplotlib",
    "matplotlib.figure",
    "matplotlib.pyplot",
    *FIRST_USED,
    "optuna.visualization.matplotlib",
    "jinja2",
    "tune.report.files",
)
"""All that the process imports, in steps of some tenths of a second at most."""


def imported_by_reports() -> tuple[str, ...]:
    """What a process should import from which reports' processes are copied.

    Nothing where matplotlib has not listed this machine's fonts yet, which takes seconds when it is first imported:
    those who want another copy would wait for that.
    """
    try:
        listed = Path(os.environ.get("MPLCONFIGDIR") or cache_folder().with_name("matplotlib"))
    except OSError:
        return ()
    return _IMPORTED if any(listed.glob("fontlist-*.json")) else ()
