"""Figures as files, written by one process or by two."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tune.report.samples import study_of
from tune.report import saved
from tune.report.figures import Drawing, draw_study
from tune.report.saved import SavedFigures, save_figures


def drawn(tmp_path: Path) -> dict[str, Drawing]:
    return draw_study(study_of(tmp_path, 12), ["wf1"]).drawn


def content(files: SavedFigures) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (*files.vector.values(), *files.pixels.values())}


def test_a_copy_of_the_process_writes_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "machine_cpus", lambda: 2)
    alone = save_figures(drawn(tmp_path / "one"), tmp_path / "alone")
    here: list[str] = []
    write = saved.save_text
    monkeypatch.setattr(saved, "save_text", lambda path, text: (here.append(path.stem), write(path, text))[1])
    beside = save_figures(drawn(tmp_path / "two"), tmp_path / "beside", beside=True)
    assert content(beside) == content(alone)
    assert beside.svgs == alone.svgs
    assert list(beside.svgs) == list(alone.svgs)
    assert 1 < len(here) < len(alone.svgs), "the copy has written the others"


def raises() -> None:
    raise OSError("no space left on device")


@pytest.mark.parametrize("end", [lambda: os._exit(1), raises], ids=["ends", "raises"])
def test_what_a_copy_leaves_undone_is_done_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], end: Callable[[], None]
) -> None:
    monkeypatch.setattr(saved, "machine_cpus", lambda: 2)
    own, write = os.getpid(), saved.save_text

    def fails_in_the_copy(path: Path, text: str) -> Path:
        if os.getpid() != own:
            end()
        return write(path, text)

    monkeypatch.setattr(saved, "save_text", fails_in_the_copy)
    figures = drawn(tmp_path)
    files = save_figures(figures, tmp_path / "figures", beside=True)
    assert set(files.vector) == set(figures)
    assert all(path.is_file() for path in (*files.vector.values(), *files.pixels.values()))
    assert capfd.readouterr() == ("", "")


def test_figures_of_an_earlier_report_go(tmp_path: Path) -> None:
    figures = drawn(tmp_path)
    save_figures(figures, tmp_path / "figures")
    save_figures({"history": figures["history"]}, tmp_path / "figures")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"history.svg", "history.png"}
