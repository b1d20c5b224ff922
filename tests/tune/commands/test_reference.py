"""The printed configuration and the reference pages are in step with the dataclasses and the commands."""

import sys
from pathlib import Path

import pytest

from tune.commands.command_page import commands_page
from tune.commands.reference import annotated_yaml, configuration_page, field_docs
from tune.config.settings import config_types, load_config, preset_names

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("key", config_types())
def test_every_key_has_a_line_of_documentation(key: str) -> None:
    assert len(field_docs()[key]) > 10


def test_the_page_is_in_step() -> None:
    written = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert written == configuration_page(), "renew it: python -m tune.commands.reference > docs/configuration.md"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="argparse shows options with values otherwise from 3.13 on")
def test_the_page_of_commands_is_in_step_whatever_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    written = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert written == commands_page(), "renew it: python -m tune.commands.reference --commands > docs/commands.md"


@pytest.mark.parametrize("name", preset_names())
def test_an_annotated_preset_reads_back_as_itself(name: str, tmp_path: Path) -> None:
    config = load_config(name, {"data.shards": "x", "track.name": "12", "data.modalities": "text"})
    file = tmp_path / "printed.yaml"
    file.write_text(annotated_yaml(config), encoding="utf-8")
    assert load_config(file) == config
