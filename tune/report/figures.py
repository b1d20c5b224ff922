"""The figures of a study, each drawn only where it has something to say; the best and the base are marked in all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray
from optuna.trial import TrialState

from dclf.canvas import (
    COLOURS,
    COLUMN,
    DASHES,
    INK,
    MANY,
    PAGE,
    QUIET,
    blank,
    few,
    in_style,
    legend_below,
    literal,
    sign,
    tidy,
    wrapped,
)
from tune.report.drawing import Drawing, Drawings, NothingToDraw, Points, first_of, some_of, spread
from tune.report.parameter_axes import objective_limits, off_axis
from tune.report.parameter_figures import pairs, parallel, slices
from tune.report.trials import FEWEST_FOR_IMPORTANCE, FigureTrial, StudyTrials, number_text
from tune.study.ranking import front, pick_rule

MOST_CURVES, MOST_BARS = 60, 20
"""Trials and parameters in busy figures; more would show no more."""
BLUE, RED = COLOURS[0][0], COLOURS[1][0]


def draw_study(
    study: optuna.Study,
    objectives: Sequence[str] = (),
    numbers: Mapping[int, int] | None = None,
    names: Collection[str] | None = None,
    roles: Mapping[int, str] | None = None,
) -> Drawings:
    """The figures of a study with their words, those only that make sense yet, and why others are missing.

    Args:
        study: Optuna's study.
        objectives: names of its objectives; Optuna's metric names where empty.
        numbers: Optuna's number of a trial -> the ledger's, where Optuna knows further trials, such as those of an
            earlier study, which are left out; all under their own numbers where None.
        names: figures to draw; all where None.
        roles: the ledger's number of a trial that is marked -> ``best`` or ``base``.
    """
    drawings, trials = Drawings(), StudyTrials(study, objectives, numbers, roles)
    for name, draw in _PLOTS.items():
        if (name == "pareto" and len(trials.scores) == 1) or (names is not None and name not in names):
            continue
        try:
            with in_style():
                drawings.figures[name] = draw(trials)
        except NothingToDraw as reason:
            drawings.missing[name] = str(reason)
    return drawings


def history(trials: StudyTrials) -> Drawing:
    """Trials in their order and the best so far; those that ended without a value at the edge of the worst."""
    trials.need(1)
    figure = blank(COLUMN, 2.2)
    axes = figure.subplots()
    values = trials.values(trials.done)
    limits = objective_limits(values, trials.score)
    many = len(trials.done) > MANY
    numbers = np.array([trial.number for trial in trials.done])
    axes.scatter(
        *(numbers, values),
        s=4 if many else 14,
        color=BLUE,
        linewidth=0,
        rasterized=many,
        label="complete",
    )
    _best_so_far(axes, trials, numbers, values)
    points = [trials.points(axes, trials.done, numbers, values)]
    points += _without_value(axes, trials, limits)
    points += trials.signs(axes, trials.done, numbers, values, limits=limits)
    axes.set(xlabel="trial", ylabel=literal(wrapped(trials.score.unit_label, 26)), ylim=limits)
    axes.xaxis.set_major_locator(few(integer=True))
    axes.yaxis.set_major_locator(few())
    tidy(axes)
    legend_below(figure)
    caption = f"The {trials.score.label} of every complete trial, and the best so far.{off_axis(values, limits)}"
    if any(trial.state in (TrialState.FAIL, TrialState.PRUNED) for trial in trials.trials):
        caption += " Pruned and failed trials stand at their last value, those without one at the axis's worse end."
    return Drawing(title="Optimisation history", caption=caption, figure=figure, points=tuple(points))


def _best_so_far(axes: Axes, trials: StudyTrials, numbers: NDArray[np.int64], values: NDArray[np.float64]) -> None:
    order = np.argsort(numbers)
    best = np.maximum if trials.score.direction == "maximize" else np.minimum
    line = best.accumulate(values[order])
    last = max(trial.number for trial in trials.trials)
    axes.step([*numbers[order], last], [*line, line[-1]], where="post", color=INK, lw=1.2, label="best so far")


def _without_value(axes: Axes, trials: StudyTrials, limits: tuple[float, float]) -> list[Points]:
    """Pruned and failed trials."""
    worst = limits[0] if trials.score.direction == "maximize" else limits[1]
    points = []
    kinds: tuple[tuple[TrialState, str, dict[str, Any]], ...] = (
        (TrialState.PRUNED, "pruned", {"marker": "v", "facecolor": "none", "edgecolor": RED}),
        (TrialState.FAIL, "failed", {"marker": "x", "color": QUIET}),
    )
    for state, word, look in kinds:
        ended = [trial for trial in trials.trials if trial.state == state]
        if not ended:
            continue
        numbers = [trial.number for trial in ended]
        lasts = [trial.curve[max(trial.curve)] if trial.curve else None for trial in ended]
        heights = [worst if last is None else float(np.clip(last, *limits)) for last in lasts]
        many = len(ended) > MANY
        size = 6 if many else 18
        axes.scatter(numbers, heights, s=size, linewidth=0.9, rasterized=many, clip_on=False, label=word, **look)
        reached = [
            word if last is None else f"{word} at {number_text(trials.score, last)} after epoch {max(trial.curve)}"
            for trial, last in zip(ended, lasts, strict=True)
        ]
        texts = [trials.text(trial, extra=text) for trial, text in zip(ended, reached, strict=True)]
        points.append(Points(axes=axes, x=numbers, y=heights, texts=texts))
    return points


def curves(trials: StudyTrials) -> Drawing:
    """A line per trial, by epoch: complete ones solid, pruned ones dashed up to a cross."""
    ended = [trial for trial in trials.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    every = [trial for trial in ended if len(trial.curve) > 1]
    if not every:
        raise NothingToDraw("no complete or pruned trial has reported two epochs")
    special = trials.special(every)
    others = [trial for trial in every if not trial.role]
    subset = [*spread(others, MOST_CURVES - len(special)), *special]
    limits = _curve_limits(trials, subset)
    figure = blank(COLUMN, 2.2)
    axes = figure.subplots()
    pruned = [trial for trial in subset if trial.state == TrialState.PRUNED]
    complete = [trial for trial in subset if trial.state == TrialState.COMPLETE]
    _lines(axes, complete, "complete", color=BLUE, linestyles="-", alpha=0.6)
    _lines(axes, pruned, "pruned", color=RED, linestyles="--", alpha=0.8)
    if pruned:
        ends = [max(trial.curve) for trial in pruned]
        heights = [trial.curve[end] for trial, end in zip(pruned, ends, strict=True)]
        axes.scatter(ends, heights, marker="x", s=14, color=RED, linewidth=0.9, zorder=3)
    for trial in special:
        epochs, values = sorted(trial.curve), [trial.curve[epoch] for epoch in sorted(trial.curve)]
        axes.plot(epochs, values, color=INK, lw=1.6, ls=DASHES[trial.role], zorder=4)
        sign(axes, trial.role, epochs[-1], float(np.clip(values[-1], *limits)), trials.label(trial))
    axes.autoscale_view()
    axes.set(xlabel="epoch", ylabel=literal(wrapped(trials.score.unit_label, 26)), ylim=limits)
    axes.xaxis.set_major_locator(few(6, integer=True))
    axes.yaxis.set_major_locator(few())
    tidy(axes)
    legend_below(figure)
    caption = f"The {trials.score.label} of the best epoch so far{'; pruned trials end at a cross' if pruned else ''}."
    nearest = min if trials.score.direction == "minimize" else max
    caption += off_axis(np.array([nearest(trial.curve.values()) for trial in subset]), limits)
    points = tuple(_curve_points(axes, trials, trial) for trial in subset)
    return Drawing(title="Learning curves", caption=caption + some_of(subset, every), figure=figure, points=points)


def _curve_limits(trials: StudyTrials, subset: Sequence[FigureTrial]) -> tuple[float, float]:
    """Limits for the curves that end among the others; single ones that end far worse do not squeeze them."""
    low, high = objective_limits([trial.curve[max(trial.curve)] for trial in subset], trials.score)
    near = [value for trial in subset if low <= trial.curve[max(trial.curve)] <= high for value in trial.curve.values()]
    room = 0.05 * (max(near) - min(near)) or 0.5
    return min(near) - room, max(near) + room


def _lines(axes: Axes, trials: Sequence[FigureTrial], label: str, **look: object) -> None:
    if trials:
        lines = [sorted(trial.curve.items()) for trial in trials]
        axes.add_collection(LineCollection(lines, linewidths=0.9, label=label, **look))  # type: ignore[arg-type]


def _curve_points(axes: Axes, trials: StudyTrials, trial: FigureTrial) -> Points:
    epochs = sorted(trial.curve)
    values = [trial.curve[epoch] for epoch in epochs]
    word = "pruned, " if trial.state == TrialState.PRUNED else ""
    texts = [
        trials.text(trial, extra=f"{word}{number_text(trials.score, value)} after epoch {epoch}")
        for epoch, value in zip(epochs, values, strict=True)
    ]
    return Points(axes=axes, x=epochs, y=values, texts=texts)


def importance(trials: StudyTrials) -> Drawing:
    """A bar per parameter, the most important on top."""
    trials.need(FEWEST_FOR_IMPORTANCE, 2)
    if not trials.importances:
        raise NothingToDraw(f"every complete trial has the same {trials.score.label}")
    names = list(trials.domains)[:MOST_BARS]
    shares = [100 * trials.importances.get(name, 0.0) for name in names]
    places = list(range(len(names)))
    figure = blank(COLUMN, 0.8 + 0.25 * len(names))
    axes = figure.subplots()
    bars = axes.barh(places, shares, 0.68, color=BLUE)
    axes.bar_label(bars, [f"{share:.0f}" if share >= 1 else "< 1" for share in shares], padding=3, fontsize=8)
    axes.set_yticks(places, [literal(wrapped(name, 22)) for name in names])
    axes.invert_yaxis()
    axes.set(xlabel="importance (%)", xlim=(0, max(shares) * 1.14))
    axes.xaxis.set_major_locator(few())
    tidy(axes, "x")
    texts = [f"{name}: {share:.1f} %" for name, share in zip(names, shares, strict=True)]
    caption = (
        f"Share of each parameter in what sets the best trials by {trials.score.label} apart from the others "
        f"(PED-ANOVA). With few trials the shares are rough.{first_of(names, trials.domains)}"
    )
    points = (Points(axes=axes, x=shares, y=places, texts=texts),)
    return Drawing(title="Parameter importance", caption=caption, figure=figure, points=points)


def pareto(trials: StudyTrials) -> Drawing:
    """Each pair of objectives in a panel, the front's trials filled."""
    trials.need(1)
    if len(trials.scores) > 3:
        raise NothingToDraw(f"shows three objectives at most, the study has {len(trials.scores)}")
    panels = [(0, 1)] if len(trials.scores) == 2 else [(0, 1), (0, 2), (1, 2)]
    figure = blank(COLUMN, 2.7) if len(panels) == 1 else blank(PAGE, 2.5)
    ranks = [
        tuple(score.rank(value) for score, value in zip(trials.scores, trial.values, strict=True))
        for trial in trials.done
    ]
    best = set(front(ranks))
    points: list[Points] = []
    for axes, (x, y) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        points += _front_panel(axes, trials, (x, y), best, joined=len(panels) == 1)
    legend_below(figure)
    caption = "Filled trials are the front: none beats them in one objective without losing in another."
    if rule := pick_rule(trials.scores):
        caption += f" Picked: {rule}."
    return Drawing(title="Pareto front", caption=caption, figure=figure, points=tuple(points))


def _front_panel(
    axes: Axes, trials: StudyTrials, objectives: tuple[int, int], best: Collection[int], *, joined: bool
) -> list[Points]:
    x, y = (trials.values(trials.done, objective) for objective in objectives)
    on = np.array([place in best for place in range(len(trials.done))])
    many = len(trials.done) > MANY
    dot: dict[str, Any] = {"s": 6 if many else 16, "rasterized": many}
    axes.scatter(x[~on], y[~on], facecolor="none", edgecolor=QUIET, lw=0.7, label="trial", **dot)
    if joined:
        order = np.argsort(x[on])
        axes.plot(x[on][order], y[on][order], color=BLUE, lw=0.7, ls=":", zorder=2)
    axes.scatter(x[on], y[on], s=18, facecolor=BLUE, edgecolor=INK, lw=0.3, zorder=3, label="on the front")
    for axis, objective in ((axes.xaxis, objectives[0]), (axes.yaxis, objectives[1])):
        axis.set_label_text(literal(wrapped(trials.scores[objective].unit_label, 26)))
        axis.set_major_locator(few())
    tidy(axes, "both")
    return [trials.points(axes, trials.done, x, y), *trials.signs(axes, trials.done, x, y)]


_PLOTS: dict[str, Callable[[StudyTrials], Drawing]] = {
    "history": history,
    "curves": curves,
    "importance": importance,
    "slice": slices,
    "pairs": pairs,
    "parallel": parallel,
    "pareto": pareto,
}
