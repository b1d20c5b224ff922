"""Figures that show themselves, of studies and of runs."""

from pathlib import Path

import pytest

from dclf.training.reports import FinalReport
from tests.notebooks import images
from tests.tune.study.samples import fill, new_folder
from tune.report.gallery import Gallery, Picture
from tune.runs import TrainedRun
from tune.studies import open_study


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """Of a study with too few trials for some figures."""
    folder = tmp_path_factory.mktemp("studies")
    fill(new_folder(folder, "few"), 3)
    return open_study("few", storage=folder).figures()


def test_a_figure_shows_itself_and_is_saved(gallery: Gallery, tmp_path: Path) -> None:
    history = gallery["history"]
    assert history._repr_svg_().rstrip().endswith("</svg>")
    assert repr(history) == f"history: {history.title}"
    history.save(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_all_of_them_are_shown_with_their_words_and_what_is_missing(gallery: Gallery) -> None:
    page = gallery._repr_html_()
    assert [f"<code>{name}</code>" in page for name in gallery] == [True] * len(gallery)
    assert [svg.rstrip().endswith("</svg>") for svg in images(page)] == [True] * len(gallery)
    assert gallery.missing
    assert all(f"<p>{name}: " in page for name in gallery.missing)
    assert f"{next(iter(gallery.missing))} " in repr(gallery)


def test_words_of_a_figure_are_no_html(gallery: Gallery) -> None:
    figure = gallery["history"].figure
    page = Gallery((Picture(name="a", title='<b>"', caption="<i>", figure=figure),))._repr_html_()
    assert "<b>&lt;b&gt;&quot;</b>" in page
    assert "&lt;i&gt;" in page
    assert 'alt="&lt;b&gt;&quot;"' in page


def test_a_figure_that_is_not_there_is_told_with_those_that_are(gallery: Gallery) -> None:
    with pytest.raises(KeyError, match=f"no figure 'histroy'; there are: {', '.join(gallery)}"):
        gallery["histroy"]
    missing, why = next(iter(gallery.missing.items()))
    with pytest.raises(KeyError) as raised:
        gallery[missing]
    assert f"no figure '{missing}' ({why})" in raised.value.args[0]


def test_a_run_has_its_curves_and_a_matrix_for_every_split(final: FinalReport) -> None:
    run = TrainedRun(run_id="3f2a", name="bold", checkpoint="c", final=final, tracking_uri="sqlite:///x")
    figures = run.figures()
    assert list(figures) == ["curves", "confusion-val", "confusion-test"]
    cells = [text.get_text() for text in figures["confusion-test"].figure.axes[0].texts]
    assert cells == ["75.0", "3", "25.0", "1", "25.0", "1", "75.0", "3"]
    assert figures["curves"].figure.axes


def test_a_run_without_epochs_has_no_curves(final: FinalReport) -> None:
    empty = FinalReport(class_names=final.class_names, history=[], splits=final.splits)
    run = TrainedRun(run_id="3f2a", name="bold", checkpoint="c", final=empty, tracking_uri="sqlite:///x")
    assert list(run.figures()) == ["confusion-val", "confusion-test"]
