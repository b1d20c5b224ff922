"""The data package is light: torch, Ray and MLflow are not needed to write or read shards."""

from __future__ import annotations

import subprocess
import sys

import dclf.data

CODE = "import sys, dclf.data; print([m for m in ('torch', 'ray', 'mlflow', 'pandas', 'sklearn') if m in sys.modules])"


def test_importing_the_data_package_pulls_in_no_heavy_one() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    assert all(hasattr(dclf.data, name) for name in dclf.data.__all__)
