"""Figures as files."""

from pathlib import Path

import pytest

from tests.tune.study.samples import study_of
from tune.report.drawing import Drawing
from tune.report.figure_files import remove_other_figures, save_figures
from tune.report.figures import draw_study


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Drawing]:
    return draw_study(study_of(tmp_path_factory.mktemp("study"), 12), ["wf1"], names={"history", "slice"}).figures


def test_figures_are_saved_as_vectors_and_pixels(drawings: dict[str, Drawing], tmp_path: Path) -> None:
    files = save_figures(drawings, tmp_path / "figures")
    assert list(files.vector) == list(files.pixels) == list(files.svgs) == list(drawings) == ["history", "slice"]
    assert not any("<text" in path.read_text(encoding="utf-8") for path in files.vector.values()), "outlines for print"
    assert all("<text" in svg for svg in files.svgs.values()), "text for a page"
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files.pixels.values())


def test_figures_of_an_earlier_report_go(drawings: dict[str, Drawing], tmp_path: Path) -> None:
    save_figures(drawings, tmp_path / "figures")
    remove_other_figures(tmp_path / "figures", ["history"])
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"history.svg", "history.png"}
