"""What the tests need beside Python packages: recorded outputs, real dialogues, programs of the system."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def lacking(message: str) -> NoReturn:
    """Skip the test; in CI, where everything must be there, fail it.

    Args:
        message: what is absent, and how to get it.
    """
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def chromium() -> str:
    """The program of the installed Chromium."""
    paths = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next(filter(None, paths), None) or lacking("no Chromium is installed: apt-get install chromium")
