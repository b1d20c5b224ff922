"""Makes Optuna's plots fit for print: sizes, tick labels, legends; dots of large studies become pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tune.study.scores import Score

TEXT, SMALL = 9, 8
MANY = 300
"""Dots or lines from which on they are stored as pixels: an SVG of 5,000 shapes is slow to open."""
DPI = 150


def history(figure: Figure, score: Score, values: Sequence[float]) -> None:
    """Single axes: dots and the line of the best; early outliers do not squeeze the rest."""
    (axes,) = figure.axes
    _finish(figure, 7.5, 3.8)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(*_limits(values, score))
    _small_dots(axes)
    axes.legend(
        ["complete trial", "best so far"],
        loc="lower right" if score.direction == "maximize" else "upper right",
        fontsize=SMALL,
    )


def curves(figure: Figure, label: str) -> None:
    """Learning curves: no legend of every trial, thin lines."""
    (axes,) = figure.axes
    _finish(figure, 7.5, 3.8)
    axes.set(xlabel="epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if (legend := axes.get_legend()) is not None:
        legend.remove()
    for line in axes.get_lines():
        line.set(linewidth=0.9, markersize=2.5)


def importances(figure: Figure, count: int) -> None:
    """Bars: the axis says what the legend says."""
    (axes,) = figure.axes
    _finish(figure, 7.5, 1.1 + 0.36 * count)
    axes.set(xlabel="importance", ylabel="")
    if (legend := axes.get_legend()) is not None:
        legend.remove()


def slices(figure: Figure, count: int) -> None:
    """A row of panels beside a colour bar."""
    *panels, bar = figure.axes
    _finish(figure, 2.2 + 1.75 * count, 3.3)
    for axes in panels:
        _small_dots(axes)
        _readable(axes, x=4, y=6)
        _unquoted(axes)
    bar.set_ylabel("trial", fontsize=TEXT)


def contour(figure: Figure, count: int) -> None:
    """One panel, or a square of them, beside a colour bar."""
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    _finish(figure, *((6.5, 4.6) if count == 2 else (9.0, 7.5)))
    for axes in panels:
        _small_dots(axes, size=7)
        _readable(axes, x=4, y=5)


def parallel(figure: Figure, count: int, label: str) -> None:
    """Parallel axes with their names upright below them."""
    main, bar, *others = figure.axes
    _finish(figure, 3.2 + 1.35 * count, 4.2)
    names = [text.get_text() for text in main.get_xticklabels()]
    main.set_xticks(range(len(names)), [label.replace(" (", "\n("), *names[1:]], rotation=25, ha="right")
    for lines in main.findobj(LineCollection):
        lines.set(linewidth=0.9, rasterized=len(lines.get_segments()) > MANY)
    for axes in others:
        _readable(axes, x=0, y=6)
        axes.set_facecolor("none")
        for text in axes.get_yticklabels():
            text.set_bbox({"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8})
    bar.set_ylabel(label, fontsize=TEXT)


def pareto(figure: Figure, marks: Mapping[str, Sequence[float]]) -> None:
    """Two objectives in the plane, or three in space; marked trials have rings of other shapes around their dots.

    Args:
        figure: Optuna's.
        marks: words for the legend -> coordinates.
    """
    (axes,) = figure.axes
    _finish(figure, 6.5, 4.6)
    _small_dots(axes)
    names = ["trial", "on the front"] if len(axes.collections) > 1 else ["on the front"]
    for place, shape in zip(marks.values(), ("s", "o"), strict=False):
        ring: dict[str, Any] = {"s": 90, "marker": shape, "facecolors": "none", "edgecolors": "black"}
        axes.scatter(*([value] for value in place), **ring)
    axes.legend([*names, *marks], fontsize=SMALL)


def settle(figure: Figure) -> None:
    """Place everything once; matplotlib would do it anew for every file, at the cost of drawing it again."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)


def _finish(figure: Figure, width: float, height: float) -> None:
    figure.set_layout_engine("constrained")
    figure.set_size_inches(width, height)
    figure.set_dpi(DPI)
    figure.set_facecolor("white")
    for axes in figure.axes:
        axes.tick_params(labelsize=SMALL)
        axes.xaxis.label.set_fontsize(TEXT)
        axes.yaxis.label.set_fontsize(TEXT)


def _small_dots(axes: Axes, size: float = 14) -> None:
    for dots in axes.findobj(PathCollection):
        many = len(np.asarray(dots.get_offsets())) > MANY
        dots.set(sizes=[4 if many else size], linewidths=[0 if many else 0.4], rasterized=many)


def _readable(axes: Axes, *, x: int, y: int) -> None:
    """Few ticks, and plain numbers on logarithmic axes."""
    for axis, scale, count in ((axes.xaxis, axes.get_xscale(), x), (axes.yaxis, axes.get_yscale(), y)):
        if not count or axis.have_units():
            continue
        if scale == "log":
            axis.set_major_locator(LogLocator(subs=_steps(*axis.get_view_interval()), numticks=count + 1))
            axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        elif isinstance(axis.get_major_locator(), MaxNLocator):
            axis.set_major_locator(MaxNLocator(count))


def _steps(low: float, high: float) -> tuple[float, ...]:
    """Where the ticks of a decade stand: the fewer, the more decades there are."""
    decades = math.log10(high / low)
    return (1.0,) if decades > 1.7 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0)


def _unquoted(axes: Axes) -> None:
    """Choices without the quotation marks that Optuna puts around them."""
    if axes.xaxis.have_units():
        places = axes.get_xticks()
        texts = axes.xaxis.get_major_formatter().format_ticks(list(places))
        names = [text.strip("'\"") for text in texts]
        wide = sum(map(len, names)) > 20
        axes.set_xticks(places, names, rotation=30 if wide else 0, ha="right" if wide else "center")
        axes.set_xlim(places[0] - 0.5, places[-1] + 0.5)


def _limits(values: Iterable[float], score: Score) -> tuple[float, float]:
    """The values with a margin, from their fifth percentile on where single bad ones lie far off."""
    ranked = sorted(values)
    low, high = ranked[0], ranked[-1]
    margin = len(ranked) // 20
    middle = ranked[-1 - margin] - ranked[margin]
    if margin and high - low > 4 * middle > 0:
        low, high = (ranked[margin], high) if score.direction == "maximize" else (low, ranked[-1 - margin])
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room
