"""The site of docs/: it builds without a warning, every page is in it, and it loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import dclf
import dclf.testing
import tune

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
LOADED = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//""")
WAIT_S = 120.0


def pages(nav: list[Any]) -> Iterator[str]:
    """The files of a navigation, section after section."""
    for entry in nav:
        (content,) = entry.values()
        yield from pages(content) if isinstance(content, list) else [content]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with ``strict``, which fails for a page outside the navigation and for a link that leads nowhere."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_of_the_navigation_is_there(site: Path) -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    names = [Path(page).stem for page in pages(nav)]
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} == set(names)
    assert len(set(names)) == len(names)
    for name in names:
        assert (site / ("" if name == "index" else name) / "index.html").is_file()


@pytest.mark.parametrize("package", [dclf, dclf.testing, tune], ids=lambda package: str(package.__name__))
def test_the_python_pages_have_every_public_name(package: Any, site: Path) -> None:
    page = (site / f"python-{package.__name__.split('.')[-1]}" / "index.html").read_text(encoding="utf-8")
    anchors = set(re.findall(r'\bid="([^"]+)"', page))
    assert {f"{package.__name__}.{name}" for name in package.__all__} <= anchors


def test_the_readme_leads_to_files_and_headings_that_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert {"docs/tutorial.md", "docs/index.md", "CONTRIBUTING.md"} <= {*links}
    for link in links:
        file, _, anchor = link.partition("#")
        target = ROOT / (file or "README.md")
        assert target.is_file(), link
        if anchor:
            # GitHub's anchors: small letters, dashes for spaces, no punctuation.
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}, link


def test_the_readme_says_what_was_measured_as_the_page_does() -> None:
    readme, page = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/results.md"))
    scores = re.compile(r"\d+\.\d+ ± \d+\.\d+")
    assert {*scores.findall(readme)}
    assert {*scores.findall(readme)} <= {*scores.findall(page)}


@pytest.mark.parametrize("name", ["README.md", "docs/results.md"])
def test_gains_with_the_presets_epochs_are_those_of_the_leaderboards(name: str) -> None:
    """``MMGCN 85.34 to 87.87, p 0.0002`` is a row of a table of base models alone and with DCLF."""
    row = re.compile(r"^\| (\w+) \| (\S+) ± \S+ \| (\S+) ± \S+ \| [^|]+ \| (\S+) \|", re.MULTILINE)
    rows = row.findall((ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8"))
    measured = {(model, alone, framed): p for model, alone, framed, p in rows}
    gains = re.findall(
        r"(\w+) (\d+\.\d+) to (\d+\.\d+), p (0\.\d+)",
        (ROOT / name).read_text(encoding="utf-8").split("With the presets' own")[1],
    )
    assert len(gains) >= 4
    for model, alone, framed, p in gains[:4]:
        cell = measured[model.lower(), alone, framed]
        assert p == f"{float(cell):.{len(p) - 2}f}", cell


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert [path.parent.name for path, text in texts.items() if LOADED.search(text)] == []
