"""The examples in docs/sweeps.md work."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tune.search.samples import BASE
from tune.search.read import load_sweep
from tune.search.space import Space, default_space
from tune.search.space_problems import space_problems

PAGE = (Path(__file__).parents[3] / "docs" / "sweeps.md").read_text(encoding="utf-8")
BLOCKS: list[dict[str, Any]] = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]


def test_the_page_shows_the_default_space() -> None:
    assert default_space().spec in BLOCKS


@pytest.mark.parametrize("block", [block for block in BLOCKS if "space" in block])
def test_spaces_of_the_page_are_sound(block: dict[str, Any]) -> None:
    assert space_problems(Space.of(block["space"], BASE), BASE) == []


def test_whole_files_and_start_points_of_the_page(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    (whole,) = [block for block in BLOCKS if "sweep" in block]
    (starts,) = [block for block in BLOCKS if "start_points" in block]
    file.write_text(yaml.safe_dump(whole), encoding="utf-8")
    assert load_sweep(file)[1].trials == 100
    assert len(load_sweep("iemocap", {"data.shards": "x", "sweep": starts})[1].start_points) == 2
