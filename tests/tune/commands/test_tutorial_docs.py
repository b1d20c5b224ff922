"""The commands of docs/tutorial.md: those without Ray are run, of the others options and configurations are read."""

import re
import shlex
from pathlib import Path

import pytest

from tune.commands.command_page import help_text
from tune.commands.main import COMMANDS, main
from tune.config.settings import load_config

PAGE = (Path(__file__).parents[3] / "docs" / "tutorial.md").read_text(encoding="utf-8")
LINES = re.findall(r"^ {4}dclf (.*)$", PAGE.replace("\\\n", " "), re.MULTILINE)
ALL = [shlex.split(line.split(" > ")[0]) for line in LINES]
OPTION = re.compile(r"--[a-z][\w.-]*")
PLANNED = ("sweep", "ablate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder but for the configuration that the page shows."""
    folder = tmp_path_factory.mktemp("tutorial")
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "tutorial.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    return folder


def test_the_page_has_a_command_of_every_kind() -> None:
    assert {words[0] for words in ALL} >= {"data", "train", "evaluate", "perturb", "sweep", "ablate", "report", "ui"}
    assert {words[0] for words in ALL} <= {*COMMANDS}


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_its_options_are_those_of_the_command(words: list[str]) -> None:
    depth = 3 if words[:2] == ["data", "import"] else 2 if words[0] in {"data", "plan"} else 1
    offered = {*OPTION.findall(help_text(words[:depth]))}
    assert {word for word in words if OPTION.fullmatch(word)} <= offered | {"-n"}


def test_its_data_are_made_imported_and_looked_at(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ALL:
        if words[0] == "data":
            assert main(words) == 0, words
    shown = capsys.readouterr().out
    assert "(83 train, 25 val, 42 test)" in shown
    exported = next(words for words in ALL if words[:2] == ["data", "import"])
    assert shlex.join([*exported[:4], "SHARDS", *exported[5:]]) in shown, "what dclf data export says"
    assert (here / "shards" / "imported" / "manifest.json").exists()


def test_its_configuration_is_sound(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load_config(here / "tutorial.yaml").train.epochs == 12
    for words in ALL:
        if words[0] == "train":
            assert main([*words, "--print-config"]) == 0, words
    assert "experiment: tutorial" in capsys.readouterr().out


def test_its_studies_can_be_planned(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ALL:
        if words[0] in PLANNED:
            assert main(["plan", *words, "--no-probe"]) == 0, words
    assert capsys.readouterr().out.count("on shards/tutorial, 12 epochs") == len(PLANNED)
