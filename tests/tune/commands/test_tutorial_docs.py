"""docs/tutorial.md and README.md: the tutorial's blocks are pasted into an empty folder, and options are read."""

import csv
import os
import re
import shlex
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tune.commands.project import DCLF, GONE_S
from tests.tune.runner.processes import Processes
from tune.commands.command_page import commands_below, help_text
from tune.commands.main import COMMANDS

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"(?:^ {4}.*\n(?:\n(?= {4}))?)+", re.MULTILINE)
OPTION = re.compile(r"--[a-z][\w.-]*")
LIMIT_S = 600.0
"""For one block, on a machine that does much else."""
OUTPUT = (
    "shards/tutorial: 150 dialogues (83 train, 25 val, 42 test)",
    "shards/imported: 150 dialogues (83 train, 25 val, 42 test)",
    "experiment: tutorial",
    "test WF1",
    "WF1 (%) of run first on the test split",
    "best validation WF1",
    "Variants of study parts on the test split",
    "WF1 (%) of study parts on the test split",
    "parts/report/report.html",
)
"""What the commands say, in their order."""


def blocks(page: str) -> list[str]:
    """The indented blocks of a page, as they are pasted."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in BLOCK.findall(text)]


TUTORIAL = blocks("docs/tutorial.md")
COMMAND_LINES = {
    page: [
        shlex.split(line.split(" > ")[0], comments=True)[1:]
        for block in blocks(page)
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("dclf ")
    ]
    for page in ("docs/tutorial.md", "README.md")
}


def depth(words: list[str]) -> int:
    """How many of them name the command."""
    return next(count for count in range(1, 4) if not commands_below(words[:count]))


@pytest.mark.parametrize("page", COMMAND_LINES)
def test_its_commands_and_options_are_there(page: str) -> None:
    lines = COMMAND_LINES[page]
    assert {words[0] for words in lines} >= {"data", "train", "perturb", "ablate", "report"}
    assert {words[0] for words in lines} <= {*COMMANDS}
    for words in lines:
        offered = {*OPTION.findall(help_text(words[: depth(words)]))} | {*OPTION.findall(help_text(["train"]))}
        assert {word for word in words if OPTION.fullmatch(word)} <= offered, words


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.mlflow
@pytest.mark.timeout(1200)
def test_its_blocks_end_with_the_table_and_the_page(tmp_path: Path) -> None:
    processes = Processes()
    start, output = time.monotonic(), ""
    for block in TUTORIAL:
        output += paste(block, tmp_path, processes.environment)
    print(f"{len(TUTORIAL)} blocks in {time.monotonic() - start:.0f} s")
    processes.wait_until_gone(GONE_S)
    place = 0
    for text in OUTPUT:
        place = output.find(text, place)
        assert place >= 0, text + output
    imported = next(words for words in COMMAND_LINES["docs/tutorial.md"] if words[:2] == ["data", "import"])
    assert shlex.join(["dclf", *imported[:4], "SHARDS", *imported[5:]]) in output, "what dclf data export says"
    assert (tmp_path / "emotions.json").stat().st_size > 0
    report = tmp_path / "dclf-runs" / "studies" / "parts" / "report"
    table = [*csv.DictReader((report / "variants.csv").read_text(encoding="utf-8").splitlines())]
    assert Counter(row["variant"] for row in table) == {"DCLF": 3, "w/o CACL": 3, "base model": 3}
    assert all(0 < float(row["test/wf1"]) <= 1 for row in table)
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "<table" in page
    assert "EICS" in page, "the perturbation test stands in the report"


def paste(block: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What the commands of a block print when a shell reads them in a folder, where each of them must succeed."""
    path = os.pathsep.join((str(Path(DCLF).parent), environment.get("PATH", "")))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-s"],
        input=block,
        cwd=folder,
        env={**environment, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, block + done.stdout
    return done.stdout
