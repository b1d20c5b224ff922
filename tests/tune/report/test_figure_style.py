"""What every figure of every report keeps to: type, width, what is marked, and where the points of the pointer lie."""

import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from dclf.canvas import COLUMN, PAGE, SIGNS, settle
from tests.tune.analysis.comparison.studies import (
    gamma_study,
    leaderboard,
    planned_main,
    preset,
    window_study,
    with_paper,
)
from tests.tune.study.samples import fill, new_folder, optuna_study
from tune.report.comparison.figures import comparison_figures
from tune.report.drawing import MOST_POINTS, Drawing, Drawings, Points
from tune.report.drawings import study_drawings
from tune.report.figure_files import figure_svg
from tune.report.figures import draw_study
from tune.study.ranking import best_trial

OBJECTIVES = {"wf1": "maximize", "f1/frustrated": "minimize", "eccs/wf1": "maximize"}


def drawn_value(kind: BaseDistribution, draw: np.random.Generator) -> object:
    if isinstance(kind, CategoricalDistribution):
        return kind.choices[int(draw.integers(len(kind.choices)))]
    assert isinstance(kind, FloatDistribution | IntDistribution)
    low, high = (math.log(kind.low), math.log(kind.high)) if kind.log else (kind.low, kind.high)
    value = draw.uniform(low, high)
    value = min(max(math.exp(value), kind.low), kind.high) if kind.log else value
    return round(value) if isinstance(kind, IntDistribution) else float(value)


def awkward_study() -> optuna.Study:
    """Long names and choices, conditions, domains of every kind, pruned and failed trials, and a far worse one."""
    study = optuna.create_study(direction="maximize")
    draw = np.random.default_rng(5)
    kinds: dict[str, BaseDistribution] = {
        "model.options.hidden_channels_of_the_graph": IntDistribution(16, 512, log=True),
        "train.learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
        "data.modalities": CategoricalDistribution(("text + audio + visual", "text + audio", "text", "$audio_alone$")),
        "loss.temperature": FloatDistribution(0.05, 0.06, log=True),
        "train.dropout": FloatDistribution(0, 0.8),
        "loss.ablate": CategoricalDistribution(tuple(f"no_part_{n}" for n in range(8))),
        "model.options.only_sometimes": FloatDistribution(0, 1),
    }
    for number in range(50):
        own = {key: kind for key, kind in kinds.items() if number % 3 or not key.endswith("sometimes")}
        state = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE, TrialState.FAIL)[number % 4]
        value = 0.02 if number == 2 else float(draw.uniform(0.6, 0.7))
        params = {key: drawn_value(kind, draw) for key, kind in own.items()}
        study.add_trial(
            create_trial(
                state=state,
                value=value if state == TrialState.COMPLETE else None,
                params=params,
                distributions=own,
                intermediate_values={epoch: value * (1 - 0.5**epoch) for epoch in range(1, 6)},
            )
        )
    return study


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory, shards: Path) -> dict[str, Drawing]:
    """Every figure that there is, settled, by the name of the study and its own."""
    place = tmp_path_factory.mktemp("studies")
    one, many = fill(new_folder(place), 40), fill(new_folder(place, "many", objectives=OBJECTIVES), 40)
    two = fill(new_folder(place, "two", objectives=dict(list(OBJECTIVES.items())[:2])), 40)
    studies = {folder.definition.name: study_drawings(folder, optuna_study(folder)) for folder in (one, two, many)}
    studies["awkward"] = draw_study(awkward_study(), ["shift/wf1"], roles={0: "base", 4: "best"})
    for folder in (
        planned_main(place, preset("iemocap", shards)),
        leaderboard(place, preset("iemocap", shards), ("mmgcn", "ddin", "mm_dfn", "dialogue_rnn")),
        window_study(place, with_paper(shards), (2, 4, 10)),
        gamma_study(place / "grid", with_paper(shards), ("ddin", "mmgcn", "aghmn")),
    ):
        studies[f"compared {folder.definition.name}"] = Drawings(figures=comparison_figures(folder))
    drawn = {f"{study} {name}": one for study, of in studies.items() for name, one in of.figures.items()}
    for drawing in drawn.values():
        settle(drawing.figure)
    return drawn


def test_figures_have_the_width_of_one_column_or_of_both(figures: dict[str, Drawing]) -> None:
    widths = {name: drawing.figure.get_figwidth() for name, drawing in figures.items()}
    assert set(widths.values()) == {COLUMN, PAGE}, widths


@pytest.mark.slow
def test_no_type_is_below_eight_points(figures: dict[str, Drawing]) -> None:
    for name, drawing in figures.items():
        svg = figure_svg(drawing.figure, "one", outlines=False)
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: ([0-9.]+)px", svg)]
        assert len(sizes) >= svg.count("<text") > 3, name
        assert min(sizes) >= 8, name


def test_nothing_is_cut_off(figures: dict[str, Drawing]) -> None:
    for name, drawing in figures.items():
        figure = drawing.figure
        box = figure.get_tightbbox()
        edges = (box.x0, box.y0, figure.get_figwidth() - box.x1, figure.get_figheight() - box.y1)
        assert min(edges) > -0.01, (name, edges)


def test_legends_hide_nothing(figures: dict[str, Drawing]) -> None:
    for name, drawing in figures.items():
        boxes = [axes.get_tightbbox() for axes in drawing.figure.axes]
        for legend in drawing.figure.legends:
            assert not any(box is not None and legend.get_window_extent().overlaps(box) for box in boxes), name
        assert not any(axes.get_legend() for axes in drawing.figure.axes), name


def test_numbers_on_an_axis_do_not_touch(figures: dict[str, Drawing]) -> None:
    for name, drawing in figures.items():
        for axes, which in itertools.product(drawing.figure.axes, "xy"):
            axis = axes.xaxis if which == "x" else axes.yaxis
            low, high = sorted(axis.get_view_interval())
            labels = [
                label
                # Panels beside others have numbers on none of their ticks.
                for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=bool(axis.get_ticklabels()))
                if low <= place <= high and label.get_text() and label.get_visible() and not label.get_rotation() % 90
            ]
            boxes = [label.get_window_extent() for label in labels]
            for (one, box), (other, further) in itertools.combinations(zip(labels, boxes, strict=True), 2):
                assert not box.overlaps(further), (name, one.get_text(), other.get_text())


def test_the_best_and_the_base_are_marked_in_words_wherever_they_stand(figures: dict[str, Drawing]) -> None:
    marked = {
        name: one for name, one in figures.items() if not name.startswith("compared") and "importance" not in name
    }
    assert len(marked) == 4 * 5 + 2
    for name, drawing in marked.items():
        labels = [text.get_text() for legend in drawing.figure.legends for text in legend.get_texts()]
        best = "picked" if name.startswith(("two", "many")) else "best"
        assert any(label.startswith("base, trial 0") for label in labels), name
        assert any(label.startswith(f"{best}, trial ") for label in labels), name
        words = " ".join(text for points in drawing.points for text in points.texts)
        assert "base, trial 0: " in words, name
        assert f"{best}, trial " in words, name


def test_the_signs_stand_at_their_trials(tmp_path: Path) -> None:
    folder = fill(new_folder(tmp_path), 40)
    best = best_trial(folder)
    assert best is not None
    drawn = study_drawings(folder, optuna_study(folder)).figures
    (axes,) = drawn["history"].figure.axes
    signs = {
        dots.get_label(): np.array(dots.get_offsets())[0] for dots in axes.collections if len(dots.get_offsets()) == 1
    }
    assert signs[f"best, trial {best.number}"] == pytest.approx([best.number, 100 * best.values[0]])
    assert signs["base, trial 0"] == pytest.approx([0, 100 * folder.ledger.trials[0].values[0]])


def test_signs_differ_in_shape_and_not_only_in_colour() -> None:
    assert SIGNS["best"]["marker"] != SIGNS["base"]["marker"]


def test_lines_of_pruned_trials_differ_without_colour(figures: dict[str, Drawing]) -> None:
    (axes,) = figures["gammas curves"].figure.axes
    dashes = {lines.get_label(): lines.get_linestyle() for lines in axes.findobj(LineCollection)}
    assert dashes["complete"][0][1] is None
    assert dashes["pruned"][0][1] is not None


def test_bars_of_base_models_differ_without_colour(figures: dict[str, Drawing]) -> None:
    bars = [bar for bar in figures["compared board labels"].figure.axes[0].containers if isinstance(bar, BarContainer)]
    looks = {str(one.get_label()): (one.patches[0].get_hatch(), lightness(one.patches[0])) for one in bars}
    assert len({hatch for hatch, _ in looks.values()}) == 4
    for name, (_, light) in looks.items():
        if not name.endswith("DCLF"):
            assert light > looks[f"{name} + DCLF"][1] + 0.2, name


def lightness(bar: Patch) -> float:
    return float(np.dot(to_rgb(bar.get_facecolor()), (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("name", ["gammas history", "gammas slice", "gammas pairs", "awkward slice", "two pareto"])
def test_points_lie_on_what_is_drawn(figures: dict[str, Drawing], name: str) -> None:
    dots = list(drawn_dots(figure_svg(figures[name].figure, "one")))
    places = figures[name].places()
    assert len(places) > 20
    for x, y, text in places:
        assert min(math.hypot(x - dot_x, y - dot_y) for dot_x, dot_y in dots) < 0.75, text


def drawn_dots(svg: str) -> Iterator[tuple[float, float]]:
    """Where an SVG has the dots of its scatter plots: as copies of one shape, or each as a path around its place."""
    for group in re.findall(r'<g id="PathCollection.*?\n   </g>', svg, re.DOTALL):
        body = re.sub(r"<defs>.*?</defs>", "", group, flags=re.DOTALL)
        for x, y in re.findall(r'<use xlink:href="[^"]*" x="([^"]*)" y="([^"]*)"', body):
            yield float(x), float(y)
        for path in re.findall(r'<path d="([^"]*)"', body):
            xs, ys = np.array(re.findall(r"-?[0-9.]+", path), dtype=float).reshape(-1, 2).T
            yield (xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2


def test_points_are_counted_from_the_upper_left_corner() -> None:
    figure = Figure(figsize=(4, 2))
    axes = figure.add_axes((0.25, 0.25, 0.5, 0.5))
    axes.set(xlim=(0, 10), ylim=(0, 1))
    points = Points(axes=axes, x=[0, 10, 5, 11], y=[0, 1, 0.5, 0.5], texts=["a", "b", "c", "outside"])
    places = Drawing(title="t", caption="c", figure=figure, points=(points,)).places()
    # 288 by 144 units; the axes reach from 72 to 216 and from 36 to 108.
    assert places == [(72, 108, "a"), (216, 36, "b"), (144, 72, "c")]


def test_of_too_many_points_the_marked_ones_stay() -> None:
    axes = Figure().subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    count = 3 * MOST_POINTS
    many = Points(axes=axes, x=np.linspace(0, 1, count).tolist(), y=[0.5] * count, texts=["dot"] * count)
    best = Points(axes=axes, x=[0.5], y=[0.5], texts=["best"], special=True)
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    places = Drawing(title="t", caption="c", figure=figure, points=(many, best)).places()
    assert len(places) == MOST_POINTS
    assert places[0][2] == "best"
    left, right = (72 * place / figure.dpi for place in (axes.bbox.x0, axes.bbox.x1))
    xs = [x for x, _, _ in places[1:]]
    assert min(xs) < left + 1 < right - 1 < max(xs), "evenly"


def test_every_figure_says_what_its_points_are(figures: dict[str, Drawing]) -> None:
    for name, drawing in figures.items():
        places = drawing.places()
        width, height = (72 * size for size in drawing.figure.get_size_inches())
        assert places, name
        assert all(0 <= x <= width and 0 <= y <= height and text for x, y, text in places), name
        assert json.loads(drawing.marks) == [list(place) for place in places]


def test_the_pointer_learns_the_trial_its_value_and_the_parameter(figures: dict[str, Drawing]) -> None:
    texts = [text for _, _, text in figures["gammas slice"].places()]
    assert any(re.fullmatch(r"trial \d+: validation WF1 \d\d\.\d\d %; gamma_ca 0\.\d+", text) for text in texts)
    texts = [text for _, _, text in figures["gammas curves"].places()]
    assert any(re.fullmatch(r"trial \d+: pruned, \d\d\.\d\d % after epoch 5", text) for text in texts)
    texts = [text for _, _, text in figures["compared main labels"].places()]
    assert any(re.fullmatch(r"ddin \+ DCLF, happy: \d\d\.\d\d ± \d\.\d\d %", text) for text in texts)
