"""Names of extensions: those that ship, entry points of installed packages, class paths, and all that can be wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dclf.config import Config, DataConfig, LossConfig, ModelConfig
from dclf.extensions import ExtensionError, ExtensionPoint, installed
from dclf.models.contract import BaseModel
from dclf.models.mmgcn import MMGCN

POINT = ExtensionPoint("dclf.tests", "thing", {"first": "json:dumps"}, reserved=("taken",))
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes an installed package of a name with entry points, as pip leaves it."""
    monkeypatch.syspath_prepend(tmp_path)

    def package(name: str, group: str = POINT.group, **points: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        lines = [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
        (folder / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        installed.cache_clear()

    yield package
    installed.cache_clear()


def test_what_ships_is_found_without_a_package() -> None:
    assert POINT.names() == ("first",)
    assert POINT.load("first").__name__ == "dumps"


def test_entry_points_of_installed_packages_are_found(install: Install) -> None:
    install("mine", second="json:loads", another="json:load")
    assert POINT.names() == ("first", "another", "second")
    assert POINT.load("second").__name__ == "loads"
    assert POINT.origin("second") == "mine 1.0"


def test_a_class_path_needs_no_package() -> None:
    assert POINT.load("pathlib:Path.home") == Path.home


def test_an_unknown_name_is_told_with_the_known_ones(install: Install) -> None:
    install("mine", second="json:loads")
    with pytest.raises(
        ExtensionError,
        match="thing: must be one of first, second, or a class path MODULE:NAME, is 'secnd'; did you mean second",
    ):
        POINT.load("secnd")


def test_an_unknown_name_is_told_where_there_is_none_at_all() -> None:
    with pytest.raises(ExtensionError, match="thing: must be a class path MODULE:NAME, is 'first'"):
        ExtensionPoint("dclf.tests", "thing").load("first")


def test_names_that_two_packages_give_are_refused(install: Install) -> None:
    install("mine", first="json:loads", taken="json:loads", second="json:loads")
    install("theirs", second="json:load")
    for name, places in {
        "first": r"of dclf \(json:dumps\) and of mine 1.0 \(json:loads\)",
        "taken": r"of dclf itself and of mine 1.0 \(json:loads\)",
        "second": r"of (mine|theirs) 1.0 \(json:loads?\) and of (mine|theirs) 1.0 \(json:loads?\)",
    }.items():
        with pytest.raises(ExtensionError, match=f"the name '{name}' must be of one package, is {places}; uninstall"):
            POINT.load(name)


def test_an_error_of_the_package_is_told_with_its_name(install: Install, tmp_path: Path) -> None:
    (tmp_path / "broken_package.py").write_text("raise RuntimeError('no licence')\n", encoding="utf-8")
    install("mine", second="broken_package:Thing")
    with pytest.raises(
        ExtensionError,
        match=r"'second' of mine 1\.0, broken_package:Thing, cannot be imported: RuntimeError: no licence; install",
    ):
        POINT.load("second")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_module:Thing", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("json:Thing", "AttributeError: module 'json' has no attribute 'Thing'"),
        (":Thing", "ValueError: Empty module name"),
        ("__main__:Thing", "must be in a module that other processes can import"),
    ],
)
def test_a_class_path_that_leads_nowhere_is_told(path: str, words: str) -> None:
    with pytest.raises(ExtensionError, match=words):
        POINT.load(path)


class Abstract(BaseModel):
    Config = MMGCN.Config


class Bare(MMGCN):
    Config = dict  # type: ignore[assignment]


@dataclass
class Undefaulted:
    width: int
    dropout: float = 0.1


class Needy(MMGCN):
    Config = Undefaulted  # type: ignore[assignment]


@dataclass
class Dry:
    width: int = 3


class Wet(MMGCN):
    Config = Dry  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Path", "must be a class derived from dclf.models.contract.BaseModel with a forward"),
        ("Abstract", "must be a class derived from dclf.models.contract.BaseModel with a forward"),
        ("Bare", "must be a class whose Config is a dataclass of its options"),
        ("Needy", "must be a class whose Config has a default for every field, is one without for width"),
        ("Wet", "must be a class whose Config has the field dropout"),
    ],
)
def test_what_is_no_base_model_is_told_with_all_other_mistakes(name: str, words: str) -> None:
    config = Config(data=DataConfig(shards=""), model=ModelConfig(name=f"{__name__}:{name}"))
    shards, model = config.problems()
    assert shards.startswith("data.shards: ")
    assert model.startswith(f"model.name: '{__name__}:{name}' {words}")


def test_a_package_that_takes_a_base_models_name_is_refused(install: Install) -> None:
    install("mine", "dclf.base_models", mmgcn="json:loads")
    (problem,) = Config(data=DataConfig(shards="x")).problems()
    assert problem.startswith("model.name: the name 'mmgcn' must be of one package, is of dclf (dclf.models.mmgcn:")


def test_terms_of_the_loss_are_checked_with_their_weights() -> None:
    terms = {"json:dumps": 0.5, "pathlib:Path": 0.5, "focl": 1.0, "json:loads": -1.0, "json:load": True}
    problems = Config(data=DataConfig(shards="x"), loss=LossConfig(terms=terms)).problems()
    assert [problem.split(": ")[0] for problem in problems] == [
        "loss.terms.pathlib:Path",
        "loss.terms.focl",
        "loss.terms.json:loads",
        "loss.terms.json:load",
    ]
    assert "must be a weight of 0 or more and finite, is -1.0" in problems[2]


def test_a_sound_configuration_asks_no_base_model() -> None:
    """Importing torch takes longer than all of the checks."""
    code = (
        "import sys; from dclf.config import Config, DataConfig; "
        "print(Config(data=DataConfig(shards='x')).problems(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
