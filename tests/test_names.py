"""``import dclf`` and ``import tune`` offer what others call and build on, and cost nothing until it is used."""

import subprocess
import sys
from types import ModuleType

import pytest

import dclf
import tune

HEAVY = ("torch", "numpy", "pyarrow", "ray", "mlflow", "optuna", "pytest", "tune.runs")


@pytest.mark.parametrize(("package", "name"), [(package, name) for package in (dclf, tune) for name in package.__all__])
def test_every_name_is_there(package: ModuleType, name: str) -> None:
    assert getattr(package, name) is not None
    assert name in dir(package)


@pytest.mark.parametrize(("package", "name"), [(dclf, "BaseModle"), (tune, "trian")])
def test_an_unknown_name_is_an_attribute_error(package: ModuleType, name: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute '{name}'"):
        getattr(package, name)


@pytest.mark.parametrize("package", ["dclf", "tune"])
def test_importing_it_is_light(package: str) -> None:
    code = f"import sys, {package}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
