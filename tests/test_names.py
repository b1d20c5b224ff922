"""``import dclf`` and ``import tune`` offer what others call and build on, and cost nothing until it is used.

Within, variables have nouns for what they hold.
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


def variables_of(tree: ast.Module) -> Iterator[ast.Name | ast.arg | ast.Attribute]:
    """Where a variable, a parameter or a private attribute gets its name; fields of classes are others' to read."""
    fields = {
        node.target
        for body in ast.walk(tree)
        if isinstance(body, ast.ClassDef)
        for node in body.body
        if isinstance(node, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store()) if node not in fields:
                yield node
            case ast.Attribute(ctx=ast.Store(), attr=name) if name.startswith("_"):
                yield node
            case ast.arg():
                yield node


def word_of(node: ast.Name | ast.arg | ast.Attribute) -> str:
    name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else node.attr
    return name.strip("_")


@pytest.mark.parametrize("folder", ["dclf", "cluster", "tune", "benchmarks", "examples", "tests"])
def test_variables_are_nouns(folder: str) -> None:
    participles = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {word_of(node)}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in variables_of(ast.parse(path.read_text(encoding="utf-8")))
        if PARTICIPLE.fullmatch(word_of(node))
    ]
    assert participles == []


def test_a_participle_is_noticed() -> None:
    source = "def f(told, *, name):\n    kept = 1\n    self._known = name\nclass A:\n    shown: int"
    words = [word_of(node) for node in variables_of(ast.parse(source))]
    assert sorted(filter(PARTICIPLE.fullmatch, words)) == ["kept", "known", "told"]
