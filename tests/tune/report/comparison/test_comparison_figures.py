"""The figures in the paper's form: bars, error bars, markers, annotated cells and frames."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.patches import Rectangle

from tests.tune.analysis.comparison.studies import (
    ablation_study,
    add_tested,
    comparison,
    gamma_study,
    leaderboard,
    planned_main,
    preset,
    window_study,
    with_paper,
)
from tests.tune.progress.reports import epoch_report
from tests.tune.study.samples import fill, new_folder, optuna_study
from tune.analysis.comparison.variants import variants_of
from tune.analysis.perturbation.study_tables import perturbed_variants
from tune.comparisons import ablation, grid
from tune.report.comparison.figures import comparison_figures, curve_figure, gamma_figure, label_figure, window_figure
from tune.report.drawings import study_drawings
from tune.report.figures import Drawing
from tune.report.files import write_report
from tune.report.perturbation_figures import perturbation_figures
from tune.runner.optuna_study import load_study
from tune.study.folder import StudyFolder
from tune.study.history import write_history


def axes_of(drawing: Drawing | None) -> list[Axes]:
    assert drawing is not None
    return drawing.figure.axes


def bars_of(axes: Axes) -> list[BarContainer]:
    return [one for one in axes.containers if isinstance(one, BarContainer)]


@pytest.fixture
def main(tmp_path: Path, shards: Path) -> StudyFolder:
    return planned_main(tmp_path, preset("iemocap", shards))


def test_figure_3_has_a_bar_per_label_model_and_method(main: StudyFolder) -> None:
    (axes,) = axes_of(label_figure(main))
    bars = bars_of(axes)
    assert [one.get_label() for one in bars] == ["ddin", "ddin + DCLF", "mmgcn", "mmgcn + DCLF"]
    assert [len(one.patches) for one in bars] == [6] * 4
    assert all(one.errorbar is not None for one in bars)
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels == ["happy", "sad", "neutral", "angry", "excited", "frustrated"]
    edges = [bar.get_x() for label in zip(*(one.patches for one in bars), strict=True) for bar in label]
    assert all(left < right for left, right in pairwise(edges)), "beside each other"


def test_figure_3_shows_means_deviations_and_what_is_published(ablations: StudyFolder) -> None:
    drawing = label_figure(ablations)
    (axes,) = axes_of(drawing)
    base, whole = bars_of(axes)
    assert [bar.get_height() for bar in base.patches] == pytest.approx([50, 70])
    assert [bar.get_height() for bar in whole.patches] == pytest.approx([60, 80])
    assert base.errorbar is not None
    (segments,) = base.errorbar.lines[2]
    ends = [segment[:, 1].tolist() for segment in segments.get_segments()]
    assert ends == [pytest.approx([40, 60]), pytest.approx([70, 70])]
    markers = [one.get_offsets() for one in axes.collections if isinstance(one, PathCollection)]
    assert [y for _, y in markers[0]] == pytest.approx([47.41, 75.47])
    assert [y for _, y in markers[1]] == pytest.approx([48.01, 84.93])
    assert [x for x, _ in markers[0]] == pytest.approx([bar.get_x() + bar.get_width() / 2 for bar in base.patches])
    assert drawing is not None
    assert drawing.caption.endswith("Diamonds: published.")
    assert "means over 3 seeds" in drawing.caption


def test_figure_4_writes_every_cell_and_marks_two(tmp_path: Path, shards: Path) -> None:
    base = with_paper(shards)
    drawing = gamma_figure(gamma_study(tmp_path, base, ("ddin", "mmgcn")))
    *panels, bar = axes_of(drawing)
    assert [axes.get_title() for axes in panels] == ["ddin + DCLF", "mmgcn + DCLF"]
    assert bar.get_xlabel() == "test WF1 (%)"
    for axes in panels:
        texts = [text.get_text() for text in axes.texts]
        assert len(texts) == 2 * 12
        assert texts[:2] == ["65.00", "± 1.41"]
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["0.1", "0.2", "0.5", "0.8"]
        frames = {one.get_linestyle(): one.get_xy() for one in axes.patches if isinstance(one, Rectangle)}
        assert frames["-"] == pytest.approx((1 - 0.46, 2 - 0.46)), "gamma_mc 0.2, gamma_ca 0.5"
        assert frames["--"] == pytest.approx((2 - 0.46, 2 - 0.46)), "the configuration's own"
    assert drawing is not None
    assert "own weights (0.5, 0.4)" in drawing.caption
    assert "optimum on IEMOCAP is at gamma_ca 0.8 (of iemocap, not of these data)" in drawing.caption


def test_table_5_is_a_curve_beside_the_published_one(tmp_path: Path, own_data: Path) -> None:
    drawing = window_figure(window_study(tmp_path, with_paper(own_data), (2, 4, 16)))
    (axes,) = axes_of(drawing)
    (curve,) = [one for one in axes.containers if isinstance(one, ErrorbarContainer)]
    assert list(curve.lines[0].get_ydata()) == pytest.approx([60.5, 62.5, 64.5])
    dotted = [line for line in axes.get_lines() if line.get_linestyle() == ":"]
    assert [list(line.get_ydata()) for line in dotted] == [pytest.approx([70.29, 71.05])]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2", "4", "16"]
    assert drawing is not None
    assert drawing.caption.endswith("Dotted: published.")


@pytest.mark.parametrize(("part", "name"), [("base", "mmgcn"), ("no_mccl", "mmgcn + DCLF w/o MCCL")])
def test_grids_over_another_framework_are_named_by_it(tmp_path: Path, own_data: Path, part: str, name: str) -> None:
    base = with_paper(own_data)
    base = replace(base, loss=replace(base.loss, ablate=part))
    windows, gammas = window_figure(window_study(tmp_path, base)), gamma_figure(gamma_study(tmp_path, base))
    assert windows is not None
    assert gammas is not None
    (axes,) = axes_of(windows)
    labels = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert name in labels
    assert not [label for label in labels if "published" in label]
    assert "published" not in windows.caption
    assert axes_of(gammas)[0].get_title() == name
    assert "paper" not in gammas.caption


def test_learning_curves_are_named_and_means_of_the_best_epochs_so_far(tmp_path: Path) -> None:
    folder = comparison(tmp_path, ablation(parts=["base"], seeds=2))
    for part, wf1 in (("none", 0.7), ("base", 0.6)):
        add_tested(folder, {"loss.ablate": part}, [wf1, wf1])
    assert curve_figure(folder) is None, "no epochs are known"
    short = [epoch_report(1, 0.25, (1, 0.25)), epoch_report(2, 0.5, (2, 0.5))]
    long = [epoch_report(1, 0.5, (1, 0.5)), epoch_report(2, 0.25, (1, 0.5)), epoch_report(3, 0.75, (3, 0.75))]
    for one in variants_of(folder):
        for seed, history in zip(one.test, (short, long), strict=True):
            write_history(folder.checkpoint(one.trial, seed), history)
    drawing = curve_figure(folder)
    (axes,) = axes_of(drawing)
    assert drawing is not None
    assert [line.get_label() for line in axes.lines] == ["mmgcn, DCLF", "mmgcn, base model"]
    assert [list(line.get_ydata()) for line in axes.lines] == [[37.5, 50.0, 62.5]] * 2
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 2
    assert "mmgcn, DCLF: 37.50 after epoch 1" in drawing.points[0].texts


def test_many_base_models_have_a_panel_each(tmp_path: Path, shards: Path) -> None:
    models = ("mmgcn", "ddin", "mm_dfn", "sdt", "aghmn")
    folder = leaderboard(tmp_path, preset("iemocap", shards), models)
    for one in variants_of(folder):
        history = [epoch_report(epoch, 0.5, (epoch, 0.5)) for epoch in (1, 2)]
        write_history(folder.checkpoint(one.trial, 0), history)
    for drawing in (curve_figure(folder), perturbation_figures(perturbed_variants(folder))["contexts"]):
        panels = axes_of(drawing)
        assert [axes.get_title() for axes in panels] == list(models)
        assert [axes.get_legend_handles_labels()[1] for axes in panels] == [["base model", "DCLF"]] * len(models)
        assert drawing is not None
        assert {points.texts[0].partition(",")[0] for points in drawing.points} == set(models)


def test_curves_pass_over_epochs_that_were_not_scored(tmp_path: Path) -> None:
    settings = replace(ablation(parts=["base"], seeds=1), objectives={"eics/wf1": "maximize"})
    folder = comparison(tmp_path, settings)
    history = [epoch_report(epoch, 0.5, (1, 0.5)) for epoch in range(1, 7)]
    history = [replace(one, robust={"eics/wf1": 0.25} if one.epoch % 3 == 0 else {}) for one in history]
    for part in ("none", "base"):
        add_tested(folder, {"loss.ablate": part}, [0.5])
    for one in variants_of(folder):
        write_history(folder.checkpoint(one.trial, 0), history)
    (axes,) = axes_of(curve_figure(folder))
    assert [list(line.get_xdata()) for line in axes.lines] == [[3, 6]] * 2


def test_curves_of_many_variants_are_those_of_trials(tmp_path: Path) -> None:
    folder = comparison(tmp_path, grid({"loss.window": {"low": 2, "high": 10, "step": 1}}, seeds=1))
    for number, window in enumerate(range(2, 11)):
        add_tested(folder, {"loss.window": window}, [0.5])
        write_history(folder.checkpoint(number, 0), [epoch_report(epoch, 0.5, (1, 0.5)) for epoch in (1, 2)])
    assert curve_figure(folder) is None
    assert list(study_drawings(folder, load_study(folder)).figures) == ["window", "curves"]


def test_figures_are_drawn_only_where_they_say_something(tmp_path: Path, ablations: StudyFolder) -> None:
    assert set(comparison_figures(ablations)) == {"labels"}
    assert set(comparison_figures(gamma_study(tmp_path, with_paper()))) == {"gammas"}
    assert set(comparison_figures(window_study(tmp_path, with_paper()))) == {"window"}
    assert comparison_figures(fill(new_folder(tmp_path, "search"), 5)) == {}


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    folder = comparison(tmp_path, ablation(parts=["base"], seeds=1))
    for part, wf1 in (("none", 0.7), ("base", 0.6)):
        add_tested(folder, {"loss.ablate": part}, [wf1], f1__sad=[wf1], **{"f1__costs $": [wf1]})
    drawing = label_figure(folder)
    (axes,) = axes_of(drawing)
    assert all(one.errorbar is None for one in bars_of(axes))
    assert drawing is not None
    assert "one seed" in drawing.caption


def test_a_comparison_has_its_own_figures_first_and_none_of_a_search(tmp_path: Path, shards: Path) -> None:
    folder = ablation_study(tmp_path, with_paper(shards))
    study = optuna_study(fill(new_folder(tmp_path, "search"), 12))
    drawings = study_drawings(folder, study)
    assert next(iter(drawings.figures)) == "labels"
    assert {*drawings.figures, *drawings.missing} <= {"labels", "curves"}
    files = write_report(folder, study)
    assert set(files.pictures) == set(files.figures) == set(drawings.figures)
    text = files.html.read_text(encoding="utf-8")
    assert text.index("On the test split") < text.index("<h2>Figures") < text.index("Budget, and what happened")
    assert "Best configuration<" not in text
