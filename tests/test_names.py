"""``import dclf`` and ``import tune`` offer what others call and build on, and cost nothing until it is used.

Within, variables, functions and classes have names of the field, not participles.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import dclf
import tune

HEAVY = ("torch", "numpy", "pyarrow", "ray", "mlflow", "optuna", "pytest", "tune.runs")
ROOT = Path(__file__).parents[1]
PARTICIPLE = re.compile(
    "asked|begun|brought|caught|chosen|found|given|held|hurried|kept|known|made|meant|mended|named|noted|peeked|refused|"
    "said|seen|sent|shown|spoken|taken|told|wanted"
)
"""They say what was done to a thing, not what it is."""


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


def names_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of every variable, parameter, private attribute, function and class; fields are others' to read."""
    fields = {
        node.target
        for body in ast.walk(tree)
        if isinstance(body, ast.ClassDef)
        for node in body.body
        if isinstance(node, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store(), id=name) if node not in fields:
                yield node.lineno, name
            case ast.Attribute(ctx=ast.Store(), attr=name) if name.startswith("_"):
                yield node.lineno, name
            case (
                ast.arg(arg=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield node.lineno, name


def is_participle(name: str) -> bool:
    return PARTICIPLE.fullmatch(name.strip("_").lower()) is not None


@pytest.mark.parametrize("folder", ["dclf", "cluster", "tune", "benchmarks", "examples", "tests"])
def test_names_are_no_participles(folder: str) -> None:
    participles = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, name in names_of(ast.parse(path.read_text(encoding="utf-8")))
        if is_participle(name)
    ]
    assert participles == []


def test_a_participle_is_noticed() -> None:
    source = "def taken(told, *, name):\n    kept = 1\n    self._known = name\nclass Given:\n    shown: int"
    participles = [name for _, name in names_of(ast.parse(source)) if is_participle(name)]
    assert sorted(participles) == ["Given", "_known", "kept", "taken", "told"]
