"""Figures as files."""

from pathlib import Path

from tests.tune.study.samples import study_of
from tune.report.figure_files import remove_other_figures, save_figures
from tune.report.figures import Drawing, draw_study


def drawn(tmp_path: Path) -> dict[str, Drawing]:
    return draw_study(study_of(tmp_path, 12), ["wf1"]).drawn


def test_figures_are_saved_as_vectors_and_pixels(tmp_path: Path) -> None:
    figures = drawn(tmp_path)
    files = save_figures(figures, tmp_path / "figures")
    assert list(files.vector) == list(files.pixels) == list(files.svgs) == list(figures)
    assert all(path.read_text(encoding="utf-8") == files.svgs[name] for name, path in files.vector.items())
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files.pixels.values())


def test_figures_of_an_earlier_report_go(tmp_path: Path) -> None:
    save_figures(drawn(tmp_path), tmp_path / "figures")
    remove_other_figures(tmp_path / "figures", ["history"])
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"history.svg", "history.png"}
