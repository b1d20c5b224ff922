"""Dependencies point one way: dclf <- cluster <- tune <- tune.commands, and from room to room within tune."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("dclf", "cluster", "tune", "tune.commands")
FORBIDDEN = {"dclf": {"ray", "mlflow", "optuna"}, "cluster": {"mlflow", "optuna"}}
ROOMS = ("config", "search", "study", "progress", "tracking", "analysis", "report", "runner")
"""The rooms of tune. Each looks at those before it, and tracking at the configuration alone; all else in tune looks at
all of them, and the command line at everything."""
ALONE = {"tracking": {"config"}}
MODULES = sorted(path for layer in ("dclf", "cluster", "tune") for path in (ROOT / layer).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str | None:
    """The layer a module belongs to; None for what is not ours."""
    return next((layer for layer in reversed(LAYERS) if f"{module}.".startswith(f"{layer}.")), None)


def imports_of(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Every module that a source imports, wherever the import stands; names are included, as they may be modules."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            yield target
            yield from (f"{target}.{alias.name}" for alias in node.names)


def room_of(module: str) -> str | None:
    """The room of tune that a module lies in; None for one in none."""
    first = module.removeprefix("tune.").split(".")[0]
    return first if module.startswith("tune.") and first in ROOMS else None


def looks_at(room: str) -> set[str]:
    """The rooms that a room may import."""
    return ALONE.get(room, set(ROOMS[: ROOMS.index(room)]))


def faults(module: str, imported: Iterator[str]) -> Iterator[str]:
    """What a module imports and must not."""
    layer = layer_of(module)
    assert layer is not None
    for name in imported:
        theirs = layer_of(name)
        if theirs is not None and LAYERS.index(theirs) > LAYERS.index(layer):
            yield f"{module} ({layer}) imports {name} ({theirs})"
        if name.split(".")[0] in FORBIDDEN.get(layer, set()):
            yield f"{module} ({layer}) imports {name}"
        room = room_of(module)
        if room is not None and theirs == "tune" and name != "tune" and room_of(name) not in {room, *looks_at(room)}:
            yield f"{module} imports {name}, and room {room} looks at {', '.join(looks_at(room)) or 'none'}"


def test_every_layer_is_looked_at() -> None:
    layers = {layer_of(name_of(path)) for path in MODULES}
    assert layers == set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    module = name_of(path)
    problems = list(faults(module, imports_of(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")))
    assert not problems, problems


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {name_of(path): path for path in MODULES}
    graph = {
        module: {
            name
            for name in imports_of(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
            if name in names and name != module and not f"{module}.".startswith(f"{name}.")
        }
        for module, path in names.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_rooms_are_those_that_contributing_shows() -> None:
    rows = ["| room | holds | looks at |", "|---|---|---|"]
    for room in ROOMS:
        holds = ast.get_docstring(ast.parse((ROOT / "tune" / room / "__init__.py").read_text(encoding="utf-8")))
        assert holds is not None
        rooms = ", ".join(f"`{name}`" for name in ROOMS if name in looks_at(room)) or "–"
        rows.append(f"| `tune/{room}` | {holds.splitlines()[0].rstrip('.')} | {rooms} |")
    assert "\n".join(rows) in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), "\n".join(rows)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dclf.metrics", "from cluster.plan import plan_training"),
        ("dclf.metrics", "def f():\n    import ray.data"),
        ("dclf.models.gru", "from tune import runs as dclf"),
        ("cluster.plan", "import mlflow"),
        ("cluster.plan", "from tune import runs"),
        ("tune.runs", "from tune.commands.options import listed"),
        ("tune.runs", "from .commands import options"),
        ("tune.study.ledger", "from tune.runner import session"),
        ("tune.search.space", "def f():\n    from tune.study.folder import StudyFolder"),
        ("tune.tracking.run", "from tune.study import ledger"),
        ("tune.analysis.claims", "import tune.sweeps"),
    ],
)
def test_an_upward_import_is_found(module: str, source: str) -> None:
    assert list(faults(module, imports_of(source, module, is_package=False)))


def test_the_lowest_layer_is_light() -> None:
    heavy = ("ray", "mlflow", "optuna", "matplotlib", "sklearn")
    code = f"import sys, dclf, dclf.data, dclf.config; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
