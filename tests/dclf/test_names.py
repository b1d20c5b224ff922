"""``import dclf`` offers what other packages build on, and costs nothing until it is used."""

import subprocess
import sys

import pytest

import dclf


@pytest.mark.parametrize("name", dclf.__all__)
def test_every_name_is_there(name: str) -> None:
    assert callable(getattr(dclf, name))
    assert name in dir(dclf)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dclf' has no attribute 'BaseModle'"):
        _ = dclf.BaseModle


def test_importing_it_is_light() -> None:
    code = "import sys, dclf; print([m for m in ('torch', 'numpy', 'pyarrow', 'ray', 'pytest') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
