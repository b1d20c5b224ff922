"""The process that writes a report beside the driver."""

from pathlib import Path

import pytest

from tests.tune.study.sessions import Driver, new_study
from tune.report.files import write_report
from tune.report.parts import ReportFiles
from tune.report.ranking import best_trial
from tune.report.writer import ReportWriter
from tune.study.folder import StudyFolder
from tune.study.optuna_state import load_study


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """A study whose trials have all ended."""
    made = new_study(tmp_path, trials=6)
    Driver(made).work()
    return made


@pytest.fixture
def writer(folder: StudyFolder) -> ReportWriter:
    return ReportWriter(folder.path)


def contents(files: ReportFiles) -> dict[str, bytes]:
    """Every file of a report by its place, without what differs from one drawing to the next."""
    return {
        path.relative_to(files.folder).as_posix(): path.read_bytes()
        for path in files.folder.rglob("*")
        if path.suffix in (".csv", ".tex", ".yaml", ".md")
    }


@pytest.mark.slow
@pytest.mark.parametrize("draw", [True, False])
def test_the_report_is_the_one_that_the_driver_would_write(
    folder: StudyFolder, writer: ReportWriter, draw: bool
) -> None:
    writer.start()
    writer.start()
    if draw:
        writer.draw()
        best = best_trial(folder)
        assert best is not None
        folder.ledger.test(best.number, 3, {"wf1": 0.5417, "wa": 0.625})
    files = writer.write()
    assert files is not None
    written = contents(files)
    own = write_report(folder, load_study(folder))
    assert files == own
    assert written == contents(own)
    assert all(path.is_file() for path in (files.html, *files.figures.values(), *files.pictures.values()))
    assert ("54.17" in files.markdown.read_text(encoding="utf-8")) == draw


@pytest.mark.slow
def test_a_study_is_not_running_because_its_driver_waits_for_the_report(
    folder: StudyFolder, writer: ReportWriter
) -> None:
    with folder.locked():
        writer.start()
        files = writer.write()
    assert files is not None
    text = files.markdown.read_text(encoding="utf-8")
    assert "works on it" not in text
    assert "not finished" not in text


def test_nothing_is_written_where_nothing_was_started(writer: ReportWriter) -> None:
    writer.draw()
    assert writer.write() is None
    writer.close()


def test_a_process_that_fails_leaves_the_report_to_the_driver(folder: StudyFolder, writer: ReportWriter) -> None:
    (folder.path / "study.yaml").unlink()
    writer.start()
    assert writer.write() is None


def test_a_killed_process_leaves_the_report_to_the_driver(writer: ReportWriter) -> None:
    writer.start()
    assert writer._child is not None
    writer._child.kill()
    writer._child.wait()
    writer.draw()
    assert writer.write() is None


def test_parts_are_told_from_process_to_process(tmp_path: Path) -> None:
    files = ReportFiles(
        folder=tmp_path,
        html=tmp_path / "report.html",
        markdown=tmp_path / "report.md",
        config=None,
        tables={"top.tex": tmp_path / "top.tex"},
        missing={"contour": "one parameter only"},
    )
    assert ReportFiles.from_json(files.to_json()) == files
