"""The packages that the pages on extension points consist of, as files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("own-base-model", "own-importer", "own-sampler", "own-loss")
_FILE = re.compile(r"^```\w+\n# file: (?P<name>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(page: str) -> dict[str, str]:
    """Name -> text of every file that a page of docs/ shows whole."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return {match["name"]: match["text"] for match in _FILE.finditer(text)}


def write_packages(folder: Path) -> list[Path]:
    """Write the package of every page into a folder of its own; their folders."""
    for page in PAGES:
        for name, text in files_of(page).items():
            file = folder / page / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return [folder / page for page in PAGES]


def install(packages: list[Path], target: Path) -> None:
    """Install packages with what the environment holds, so that nothing is fetched."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--target", target, *packages], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
