"""Work of two halves: with a copy of the process or without, it comes to the same."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tune.report.samples import fill, new_folder, optuna_study
from tune.report import beside
from tune.report.beside import in_halves
from tune.report.figures import HALVES, ORDER
from tune.report.files import Figures, draw_figures
from tune.study.folder import StudyFolder


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "machine_cpus", lambda: 2)


def test_the_second_half_is_done_by_a_copy() -> None:
    (first, own), (second, other) = in_halves(lambda half: (half, os.getpid()))
    assert (first, second) == (0, 1)
    assert own == os.getpid() != other


def test_with_one_processor_there_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "machine_cpus", lambda: 1)
    assert in_halves(lambda _half: os.getpid()) == (os.getpid(), os.getpid())


def raises() -> None:
    raise OSError("no space left on device")


@pytest.mark.parametrize(
    "end",
    [lambda: os._exit(1), lambda: os.kill(os.getpid(), signal.SIGKILL), raises],
    ids=["ends", "is killed", "raises"],
)
def test_what_a_copy_leaves_undone_is_done_here(end: Callable[[], None], capfd: pytest.CaptureFixture[str]) -> None:
    own = os.getpid()

    def work(half: int) -> int:
        if os.getpid() != own:
            end()
        return half

    assert in_halves(work) == (0, 1)
    assert capfd.readouterr() == ("", "")


def test_what_goes_wrong_is_raised_here() -> None:
    def work(half: int) -> int:
        if half == 1:
            raise OSError("no space left on device")
        return half

    with pytest.raises(OSError, match="no space left"):
        in_halves(work)


def test_where_the_first_half_goes_wrong_no_copy_is_left() -> None:
    pids = []
    reading, writing = os.pipe()

    def work(half: int) -> None:
        if half == 1:
            os.write(writing, f"{os.getpid()} ".encode())
            signal.pause()
        pids.append(int(os.read(reading, 20)))
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        in_halves(work)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_the_halves_are_all_figures() -> None:
    assert sorted(name for half in HALVES for name in half) == sorted(ORDER)


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return fill(new_folder(tmp_path), 12)


def content(made: Figures) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (*made.saved.vector.values(), *made.saved.pixels.values())}


def test_a_report_has_the_same_figures_from_two_processes(folder: StudyFolder, tmp_path: Path) -> None:
    study = optuna_study(folder)
    alone = draw_figures(folder, study, tmp_path / "alone")
    both = draw_figures(folder, study, tmp_path / "beside", beside=True)
    assert len(content(alone)) > 6
    assert content(both) == content(alone)
    assert (list(both.drawn.items()), both.missing) == (list(alone.drawn.items()), alone.missing)
    assert list(both.saved.svgs.items()) == list(alone.saved.svgs.items())
