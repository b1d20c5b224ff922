"""The figures: which are drawn, what is on them, and that nothing of them stays behind."""

import html
import io
import logging
import math
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import optuna
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from tests.tune.study.samples import fill, new_folder, optuna_study, study_of
from tune.report.drawing import Drawings, spread
from tune.report.figure_files import figure_svg
from tune.report.figures import MOST_CURVES, draw_study
from tune.report.parameter_axes import SPREAD

ONE = {"history", "curves", "importance", "slice", "pairs", "parallel"}


def figures_of(study: optuna.Study, objectives: Sequence[str] = ()) -> dict[str, Figure]:
    return {name: drawing.figure for name, drawing in draw_study(study, objectives).figures.items()}


def legend_of(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Drawings:
    """Of a study of 40 trials."""
    return draw_study(study_of(tmp_path_factory.mktemp("studies"), 40), ["wf1"])


def test_a_full_study_has_every_figure(drawings: Drawings) -> None:
    assert set(drawings.figures) == ONE
    assert not drawings.missing


def test_curves_speak_of_pruned_trials_where_there_are_some(tmp_path: Path, drawings: Drawings) -> None:
    assert drawings.figures["curves"].caption.startswith(
        "The validation WF1 of the best epoch so far; pruned trials end at"
    )
    drawn = draw_study(study_of(tmp_path, 2), ["wf1"], names={"curves"}).figures
    assert drawn["curves"].caption == "The validation WF1 of the best epoch so far."


def test_several_objectives_have_a_front(tmp_path: Path) -> None:
    study = study_of(tmp_path, 40, objectives={"wf1": "maximize", "f1/sad": "minimize"})
    figures = figures_of(study, ["wf1", "f1/sad"])
    assert set(figures) == {*ONE, "pareto"}
    assert legend_of(figures["pareto"]) == ["trial", "on the front"]
    drawing = draw_study(study, ["wf1", "f1/sad"], names={"pareto"}, roles={0: "base", 3: "best"}).figures["pareto"]
    (axes,) = drawing.figure.axes
    assert legend_of(drawing.figure) == ["trial", "on the front", "base, trial 0", "picked, trial 3"]
    values = [100 * np.array(study.trials[number].values) for number in (0, 3)]
    assert [dots.get_offsets()[0].tolist() for dots in axes.collections[-2:]] == [pytest.approx(one) for one in values]
    assert {axes.get_xlabel(), axes.get_ylabel()} == {"validation WF1 (%)", "validation F1 of sad (%)"}
    assert "Picked: of the trials on the front" in drawing.caption


def test_the_front_is_that_of_the_objectives_directions(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in ([0.5, 0.5], [0.6, 0.4], [0.7, 0.6], [0.4, 0.6]):
        study.add_trial(create_trial(values=values))
    (axes,) = figures_of(study, ["wf1", "f1/sad"])["pareto"].axes
    by_label = {dots.get_label(): np.array(dots.get_offsets()).tolist() for dots in axes.collections}
    assert sorted(by_label["on the front"]) == [[60, 40], [70, 60]]
    assert sorted(by_label["trial"]) == [[40, 60], [50, 50]]


def test_three_objectives_are_shown_pair_by_pair(tmp_path: Path) -> None:
    names = ["wf1", "eccs/wf1", "eics/wf1"]
    study = study_of(tmp_path, 8, objectives=dict.fromkeys(names, "maximize"))
    drawings = draw_study(study, names, names={"pareto"}, roles={3: "best"})
    panels = drawings.figures["pareto"].figure.axes
    assert len(panels) == 3
    assert len({(axes.get_xlabel(), axes.get_ylabel()) for axes in panels}) == 3
    assert legend_of(drawings.figures["pareto"].figure).count("picked, trial 3") == 1


def test_an_empty_study_has_none_and_says_why(tmp_path: Path) -> None:
    drawings = draw_study(study_of(tmp_path, 0), ["wf1"])
    assert not drawings.figures
    assert set(drawings.missing) == ONE
    assert "complete trials" in drawings.missing["history"]


def test_few_trials_have_few_figures(tmp_path: Path) -> None:
    drawings = draw_study(study_of(tmp_path, 4), ["wf1"])
    assert set(drawings.figures) == {"history", "curves", "slice", "parallel"}
    assert set(drawings.missing) == {"importance", "pairs"}


def flat_study(values: list[float], choices: tuple[object, ...] = ("a",)) -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    kinds = {"loss.window": CategoricalDistribution(choices), "loss.gamma_ca": FloatDistribution(0, 1)}
    for place, value in enumerate(values):
        params = {"loss.window": choices[place % len(choices)], "loss.gamma_ca": place / len(values)}
        study.add_trial(create_trial(params=params, distributions=kinds, value=value))
    return study


def test_equal_values_have_no_importance() -> None:
    drawings = draw_study(flat_study([0.5] * 12, ("a", "b")), ["wf1"])
    assert drawings.missing["importance"] == "every complete trial has the same validation WF1"


def test_a_parameter_that_does_not_vary_is_not_shown() -> None:
    drawings = draw_study(flat_study([random.Random(n).random() for n in range(12)]), ["wf1"])
    assert "parameters that take several values" in drawings.missing["pairs"]
    assert [axes.get_xlabel() for axes in drawings.figures["slice"].figure.axes[:-1]] == ["gamma_ca"]


def test_infinite_values_are_passed_over() -> None:
    values = [random.Random(n).random() for n in range(12)]
    drawings = draw_study(flat_study([*values, math.inf, -math.inf], ("a", "b")), ["wf1"])
    assert {"history", "slice", "pairs", "parallel", "importance"} <= set(drawings.figures)
    for drawing in drawings.figures.values():
        drawing.figure.savefig(io.BytesIO())


def test_parameters_never_used_together_have_no_pair() -> None:
    study = optuna.create_study(direction="maximize")
    for place in range(20):
        key = ("model.options.a", "model.options.b")[place % 2]
        trial = create_trial(
            params={key: place / 20}, distributions={key: FloatDistribution(0, 1)}, value=math.sin(place)
        )
        study.add_trial(trial)
    drawings = draw_study(study, ["wf1"])
    assert "occur together in 0 complete trials" in drawings.missing["pairs"]
    assert "slice" in drawings.figures


def test_choices_are_shown_as_they_stand() -> None:
    choices = ("$x_", "a & <b>", "[text, audio]", "%")
    drawings = draw_study(flat_study([random.Random(n).random() for n in range(12)], choices), ["wf1"])
    for name, drawing in drawings.figures.items():
        svg = html.unescape(figure_svg(drawing.figure, name, outlines=False))
        assert name not in {"slice", "parallel"} or [choice for choice in choices if choice not in svg] == [], name


@pytest.mark.parametrize("choices", [(60, 100, 150), (True, False), (None, 1, "a"), (0.5, 1)])
def test_choices_of_any_kind_are_drawn(choices: tuple[object, ...]) -> None:
    drawings = draw_study(flat_study([random.Random(n).random() for n in range(12)], choices), ["wf1"])
    assert set(drawings.figures) == ONE - {"curves"}


def test_nothing_stays_behind(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study = study_of(tmp_path, 40)
    optuna.logging.set_verbosity(optuna.logging.INFO)
    mpl.get_backend()  # it is chosen at the first look
    settings = mpl.rcParams.copy()
    capfd.readouterr()
    draw_study(study, ["wf1"])
    assert mpl.rcParams == settings
    assert optuna.logging.get_verbosity() == logging.INFO
    assert capfd.readouterr() == ("", "")


def test_numbers_are_percent_and_names_short(drawings: Drawings) -> None:
    axes = drawings.figures["history"].figure.axes[0]
    assert axes.get_ylabel() == "validation WF1 (%)"
    assert 40 < axes.get_ylim()[0] < axes.get_ylim()[1] < 80
    labels = {label.get_text() for label in drawings.figures["importance"].figure.axes[0].get_yticklabels()}
    assert labels == {"gamma_ca", "gamma_mc", "window", "temperature", "pairs"}


def test_trials_of_an_earlier_study_are_left_out(tmp_path: Path) -> None:
    study = study_of(tmp_path, 40)
    numbers = {4: 0, 0: 2, 99: 3}
    dots = draw_study(study, ["wf1"], numbers=numbers).figures["history"].figure.axes[0].collections[0]
    positions = [[place, 100 * study.trials[number].values[0]] for number, place in ((4, 0), (0, 2))]
    assert np.array(dots.get_offsets()).tolist() == pytest.approx(np.array(positions))


def test_ends_without_a_value_differ_by_their_sign(tmp_path: Path) -> None:
    folder = fill(new_folder(tmp_path), 40)
    (axes,) = draw_study(optuna_study(folder), ["wf1"], names={"history"}).figures["history"].figure.axes
    dots = {one.get_label(): one for one in axes.collections}
    assert set(dots) == {"complete", "pruned", "failed"}
    for label, of in dots.items():
        numbers = [trial.number for trial in folder.ledger.trials.values() if trial.state == label]
        assert sorted(np.array(of.get_offsets())[:, 0]) == numbers
    assert len({one.get_paths()[0].vertices.tobytes() for one in dots.values()}) == 3, "three shapes"
    low = axes.get_ylim()[0]
    assert {y for _, y in np.array(dots["failed"].get_offsets())} == {low}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_so_far_gets_better_only(direction: str) -> None:
    study = optuna.create_study(direction=direction)
    for value in (0.5, 0.4, 0.6, 0.3, 0.7):
        study.add_trial(create_trial(value=value))
    (axes,) = figures_of(study, ["wf1"])["history"].axes
    (line,) = axes.get_lines()
    better = [50, 50, 60, 60, 70] if direction == "maximize" else [50, 40, 40, 30, 30]
    assert list(line.get_ydata())[:5] == pytest.approx(better)


def test_far_worse_trials_do_not_squeeze_the_others_and_are_told() -> None:
    study = optuna.create_study(direction="maximize")
    for value in (0.01, *(0.6 + 0.001 * place for place in range(39))):
        study.add_trial(create_trial(value=value))
    drawing = draw_study(study, ["wf1"]).figures["history"]
    assert drawing.figure.axes[0].get_ylim()[0] > 55
    assert "1 far worse trial lies outside of the axis." in drawing.caption


@pytest.mark.parametrize("name", ["history", "slice"])
def test_the_sign_of_a_far_worse_trial_stands_at_the_end_of_the_axis(name: str) -> None:
    study = flat_study([0.01, *(0.6 + 0.001 * place for place in range(39))])
    drawing = draw_study(study, ["wf1"], roles={0: "base", 39: "best"}).figures[name]
    axes = drawing.figure.axes[0]
    signs = [points for points in drawing.points if points.special]
    assert [text.split(":")[0] for points in signs for text in points.texts] == ["base, trial 0", "best, trial 39"]
    assert [points.y for points in signs] == [[axes.get_ylim()[0], pytest.approx(63.8)]]


def test_lines_that_are_left_out_take_part_in_the_upright_axes() -> None:
    study = flat_study([0.6 + 0.001 * place for place in range(250)], choices=("a", "b"))
    drawing = draw_study(study, ["wf1"], names={"parallel"}).figures["parallel"]
    (gamma,) = (points for points in drawing.points if points.x[0] and "gamma_ca" in points.texts[0])
    heights = {
        int(text.split(":")[0].removeprefix("trial ")): height
        for text, height in zip(gamma.texts, gamma.y, strict=True)
    }
    assert len(heights) == 200
    assert 249 not in heights, "the trial with the largest value is no line"
    assert heights == {number: pytest.approx(number / 249) for number in heights}


def test_domains_set_the_axes(drawings: Drawings) -> None:
    axes = {one.get_xlabel(): one for one in drawings.figures["slice"].figure.axes}
    assert axes["temperature"].get_xscale() == axes["window"].get_xscale() == "log"
    assert axes["gamma_ca"].get_xscale() == "linear"
    assert [tick.get_text() for tick in axes["pairs"].get_xticklabels()] == ["bank", "batch"]


def test_dots_of_a_choice_stay_at_it(drawings: Drawings) -> None:
    axes = {one.get_xlabel(): one for one in drawings.figures["slice"].figure.axes}
    x = np.array(axes["pairs"].collections[0].get_offsets())[:, 0]
    assert set(np.rint(x)) == {0, 1}
    assert np.abs(x - np.rint(x)).max() <= SPREAD
    assert len(set(x)) == len(x), "none covers another"


def test_a_condition_leaves_a_trial_out_of_a_parameters_panel_alone() -> None:
    study = optuna.create_study(direction="maximize")
    draw = random.Random(3)
    for place in range(24):
        keys = ["train.dropout", "loss.gamma_ca", *(["loss.window"] if place % 2 else [])]
        kinds = {key: FloatDistribution(0, 1) for key in keys}
        study.add_trial(
            create_trial(params={key: draw.random() for key in keys}, distributions=kinds, value=draw.random())
        )
    drawings = draw_study(study, ["wf1"])
    axes = {one.get_xlabel(): one for one in drawings.figures["slice"].figure.axes}
    counts = {name: len(axes[name].collections[0].get_offsets()) for name in ("dropout", "gamma_ca", "window")}
    assert counts == {"dropout": 24, "gamma_ca": 24, "window": 12}
    assert "Parameters that hang on conditions are left out." in drawings.figures["parallel"].caption
    labels = [tick.get_text() for tick in drawings.figures["parallel"].figure.axes[0].get_xticklabels()]
    assert sorted(labels[1:]) == ["dropout", "gamma_ca"]


def test_large_studies_are_thinned_out_and_say_so(tmp_path: Path) -> None:
    drawings = draw_study(study_of(tmp_path, 140), ["wf1"])
    assert f"Shown are {MOST_CURVES} of " in drawings.figures["curves"].caption
    collections = drawings.figures["curves"].figure.axes[0].findobj(LineCollection)
    assert sum(len(lines.get_segments()) for lines in collections) == MOST_CURVES


@pytest.mark.parametrize(("count", "limit"), [(0, 3), (3, 3), (10, 3), (5000, 60)])
def test_spread_is_even(count: int, limit: int) -> None:
    items = spread(list(range(count)), limit)
    assert len(items) == min(count, limit)
    steps = {b - a for a, b in pairwise(items)}
    assert not steps or max(steps) - min(steps) <= 1
