"""``import tune`` offers what a user calls, and costs nothing until it is used."""

import subprocess
import sys

import pytest

import tune


@pytest.mark.parametrize("name", tune.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(tune, name) is not None
    assert name in dir(tune)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tune' has no attribute 'trian'"):
        _ = tune.trian


def test_importing_it_is_light() -> None:
    code = "import sys, tune; print([m for m in ('torch', 'ray', 'mlflow', 'optuna', 'tune.runs') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
