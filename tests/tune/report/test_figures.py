"""The figures: which are drawn, what is on them, and that nothing of them stays behind."""

import io
import logging
import math
import random
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import optuna
import pytest
from matplotlib import pyplot as plt
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from tests.tune.study.samples import SPACE, fill, new_folder, optuna_study, study_of
from tune.report.figures import MOST_CURVES, MOST_IN_CONTOUR, Drawings, draw_study, study_figures
from tune.report.html import figure_svg
from tune.report.study_copy import complete, copy_study, spread
from tune.study.scores import Score

ONE = {"history", "curves", "importance", "slice", "contour", "parallel"}


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Drawings:
    """Of a study of 40 trials."""
    return draw_study(study_of(tmp_path_factory.mktemp("studies"), 40), ["wf1"])


def test_a_full_study_has_every_figure(drawings: Drawings) -> None:
    assert set(drawings.drawn) == ONE
    assert not drawings.missing


def test_curves_speak_of_pruned_trials_where_there_are_some(tmp_path: Path, drawings: Drawings) -> None:
    assert drawings.drawn["curves"].caption.startswith("The validation WF1 after each epoch; pruned trials have short")
    drawn = draw_study(study_of(tmp_path, 2), ["wf1"], names={"curves"}).drawn
    assert drawn["curves"].caption == "The validation WF1 after each epoch."


def test_several_objectives_have_a_front(tmp_path: Path) -> None:
    study = study_of(tmp_path, 40, objectives={"wf1": "maximize", "f1/sad": "minimize"})
    figures = study_figures(study, ["wf1", "f1/sad"])
    assert set(figures) == {*ONE, "pareto"}
    axes = figures["pareto"].axes[0]
    assert len(axes.get_legend().get_texts()) == 2
    marks = {"base configuration (trial 0)": (0.5, 0.25), "picked (trial 3)": (0.6, 0.2)}
    marked = draw_study(study, ["wf1", "f1/sad"], names={"pareto"}, marks=marks).figures["pareto"].axes[0]
    assert [text.get_text() for text in marked.get_legend().get_texts()] == ["trial", "on the front", *marks]
    assert [dots.get_offsets().tolist() for dots in marked.collections[-2:]] == [[[50.0, 25.0]], [[60.0, 20.0]]]
    assert {axes.get_xlabel(), axes.get_ylabel()} == {"validation WF1 (%)", "validation F1 of sad (%)"}


def test_marks_stand_in_space_too(tmp_path: Path) -> None:
    names = ["wf1", "eccs/wf1", "eics/wf1"]
    study = study_of(tmp_path, 8, objectives=dict.fromkeys(names, "maximize"))
    drawings = draw_study(study, names, names={"pareto"}, marks={"picked (trial 3)": (0.6, 0.5, 0.4)})
    (axes,) = drawings.figures["pareto"].axes
    assert "picked (trial 3)" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_an_empty_study_has_none_and_says_why(tmp_path: Path) -> None:
    drawings = draw_study(study_of(tmp_path, 0), ["wf1"])
    assert not drawings.drawn
    assert set(drawings.missing) == ONE
    assert "complete trials" in drawings.missing["history"]


def test_few_trials_have_few_figures(tmp_path: Path) -> None:
    drawings = draw_study(study_of(tmp_path, 4), ["wf1"])
    assert set(drawings.drawn) == {"history", "curves", "slice", "parallel"}
    assert set(drawings.missing) == {"importance", "contour"}


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
    assert "parameters that take several values" in drawings.missing["contour"]
    assert [axes.get_xlabel() for axes in drawings.drawn["slice"].figure.axes[:-1]] == ["gamma_ca"]


def test_infinite_values_are_passed_over() -> None:
    values = [random.Random(n).random() for n in range(12)]
    drawings = draw_study(flat_study([*values, math.inf, -math.inf], ("a", "b")), ["wf1"])
    assert {"history", "slice", "contour", "parallel", "importance"} <= set(drawings.drawn)
    for drawing in drawings.drawn.values():
        drawing.figure.savefig(io.BytesIO())


def test_parameters_never_used_together_have_no_contour() -> None:
    study = optuna.create_study(direction="maximize")
    for place in range(20):
        key = ("model.options.a", "model.options.b")[place % 2]
        trial = create_trial(
            params={key: place / 20}, distributions={key: FloatDistribution(0, 1)}, value=math.sin(place)
        )
        study.add_trial(trial)
    drawings = draw_study(study, ["wf1"])
    assert "occur together in 0 complete trials" in drawings.missing["contour"]
    assert "slice" in drawings.drawn


def test_choices_are_shown_as_they_stand() -> None:
    choices = ("$x_", "a & <b>", "[text, audio]", "%")
    drawings = draw_study(flat_study([random.Random(n).random() for n in range(12)], choices), ["wf1"])
    for name, drawing in drawings.drawn.items():
        assert "<svg" in figure_svg(drawing.figure, name)


@pytest.mark.parametrize("choices", [(60, 100, 150), (True, False), (None, 1, "a"), (0.5, 1)])
def test_choices_of_any_kind_are_drawn(choices: tuple[object, ...]) -> None:
    drawings = draw_study(flat_study([random.Random(n).random() for n in range(12)], choices), ["wf1"])
    assert set(drawings.drawn) == ONE - {"curves"}


def test_nothing_stays_behind(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study = study_of(tmp_path, 40)
    optuna.logging.set_verbosity(optuna.logging.INFO)
    mine, settings, backend = plt.figure(), mpl.rcParams.copy(), mpl.get_backend()
    capfd.readouterr()
    draw_study(study, ["wf1"])
    assert plt.get_fignums() == [mine.number]
    assert mpl.rcParams == settings
    assert mpl.get_backend() == backend
    assert optuna.logging.get_verbosity() == logging.INFO
    assert capfd.readouterr() == ("", "")
    plt.close(mine)


def test_numbers_are_percent_and_names_short(drawings: Drawings) -> None:
    axes = drawings.drawn["history"].figure.axes[0]
    assert axes.get_ylabel() == "validation WF1 (%)"
    assert 40 < axes.get_ylim()[0] < axes.get_ylim()[1] < 80
    labels = {label.get_text() for label in drawings.drawn["importance"].figure.axes[0].get_yticklabels()}
    assert labels == {"gamma_ca", "gamma_mc", "window", "temperature", "pairs"}


def test_trials_keep_their_numbers(tmp_path: Path) -> None:
    folder = fill(new_folder(tmp_path), 40)
    study = optuna_study(folder)
    copy = copy_study(study.trials, [Score(name="wf1")], {key: key for key in SPACE})
    values = {trial.number: trial.values[0] / 100 for trial in complete(copy.trials)}
    assert values == pytest.approx(
        {t.number: t.values[0] for t in folder.ledger.trials.values() if t.state == "complete"}
    )


def test_trials_of_an_earlier_study_are_left_out(tmp_path: Path) -> None:
    study = study_of(tmp_path, 40)
    shown = draw_study(study, ["wf1"], numbers=[4, 0, 99]).drawn["history"].figure.axes[0].collections[0]
    wanted = [[place, 100 * study.trials[number].values[0]] for place, number in enumerate((4, 0))]
    assert shown.get_offsets().tolist() == pytest.approx(np.array(wanted))


def test_names_stay_the_same_where_trials_are_left_out() -> None:
    study = optuna.create_study(direction="maximize")
    draw = random.Random(1)
    for place in range(2 * MOST_IN_CONTOUR + 1):
        keys = ["model.options.dropout", "loss.gamma_ca", *(["train.dropout"] if place == 1 else [])]
        params = {key: draw.random() for key in keys}
        kinds = {key: FloatDistribution(0, 1) for key in keys}
        study.add_trial(create_trial(params=params, distributions=kinds, value=draw.random()))
    drawings = draw_study(study, ["wf1"])
    axes = drawings.drawn["contour"].figure.axes[0]
    assert {axes.get_xlabel(), axes.get_ylabel()} == {"options.dropout", "gamma_ca"}


def test_large_studies_are_thinned_out_and_say_so(tmp_path: Path) -> None:
    drawings = draw_study(study_of(tmp_path, 140), ["wf1"])
    assert f"Shown are {MOST_CURVES} of " in drawings.drawn["curves"].caption
    assert len(drawings.drawn["curves"].figure.axes[0].get_lines()) == MOST_CURVES


@pytest.mark.parametrize(("count", "limit"), [(0, 3), (3, 3), (10, 3), (5000, 60)])
def test_spread_is_even(count: int, limit: int) -> None:
    shown = spread(list(range(count)), limit)  # type: ignore[arg-type]
    assert len(shown) == min(count, limit)
    steps = {b - a for a, b in pairwise(shown)}  # type: ignore[operator]
    assert not steps or max(steps) - min(steps) <= 1
