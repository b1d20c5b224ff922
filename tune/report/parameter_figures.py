"""Figures of the parameters: one against the objective, two beside each other, all of them as parallel lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dclf.canvas import (
    COLUMN,
    DASHES,
    INK,
    MANY,
    PAGE,
    PAPER,
    SHADES,
    SMALL,
    blank,
    few,
    legend_below,
    literal,
    sign,
    tidy,
    wrapped,
)
from dclf.prose import shorten
from tune.report.drawing import Drawing, NothingToDraw, Points, first_of, some_of, spread
from tune.report.parameter_axes import LONGEST, objective_limits, off_axis, parameter_axis, places, plain
from tune.report.trials import AxisDomain, FigureTrial, StudyTrials

MOST_LINES = 200
MOST_PARAMS, MOST_IN_PAIRS = 6, 3
FEWEST_FOR_PAIRS = 5


def slices(trials: StudyTrials) -> Drawing:
    """The objective against each parameter; later trials are darker."""
    trials.need(2, 1)
    domains = list(trials.domains.values())[:MOST_PARAMS]
    figure, panels = _panels(len(domains))
    values = trials.values(trials.done)
    limits = objective_limits(values, trials.score)
    last = max(1, *(trial.number for trial in trials.done))
    points: list[Points] = []
    for axes, domain in zip(panels, domains, strict=True):
        subset = [trial for trial in trials.done if domain.name in trial.params]
        x, y = places(domain, subset), trials.values(subset)
        _dots(axes, x, y, SHADES(np.array([trial.number for trial in subset]) / last))
        points.append(trials.points(axes, subset, x, y, [domain.name]))
        points += trials.signs(axes, subset, x, y, [domain.name], limits=limits)
        parameter_axis(axes, "x", domain, x.tolist(), 5)
        axes.set_xlabel(literal(wrapped(domain.name, 24)))
        axes.set_ylim(limits)
        axes.yaxis.set_major_locator(few())
        tidy(axes)
    for axes in panels:
        if axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            axes.set_ylabel(literal(wrapped(trials.score.unit_label, 22)))
        else:
            axes.tick_params(labelleft=False)
    _bar(figure, panels, (0, last), "trial")
    legend_below(figure, panels)
    caption = (
        f"The {trials.score.label} against each parameter; later trials are darker.{off_axis(values, limits)}"
        f"{_choices(domains)}{first_of(domains, trials.domains)}"
    )
    return Drawing(title="Slices", caption=caption, figure=figure, points=tuple(points))


def pairs(trials: StudyTrials) -> Drawing:
    """Two parameters in a plane, the objective as the dots' size and shade."""
    trials.need(FEWEST_FOR_PAIRS, 2)
    domains = list(trials.domains.values())[:MOST_IN_PAIRS]
    together = {
        pair: [trial for trial in trials.done if all(domain.name in trial.params for domain in pair)]
        for pair in combinations(domains, 2)
    }
    drawn = {pair: subset for pair, subset in together.items() if len(subset) >= FEWEST_FOR_PAIRS}
    if not drawn:
        names = " and ".join(domain.name for domain in domains[:2])
        count = max(map(len, together.values()))
        raise NothingToDraw(f"{names} occur together in {count} complete trials only")
    values = trials.values(trials.done)
    limits = objective_limits(values, trials.score)
    figure, panels = _panels(len(drawn))
    points: list[Points] = []
    for axes, (pair, subset) in zip(panels, drawn.items(), strict=True):
        points += _pair(axes, trials, pair, subset, limits)
    _bar(figure, panels, limits, trials.score.unit_label, up=trials.score.direction == "maximize")
    legend_below(figure, panels)
    used = {domain.name for pair in drawn for domain in pair}
    caption = (
        f"The {trials.score.label} of trials by two of their parameters: the larger and darker a dot, the better."
        f"{_choices(domains)}{first_of(used, trials.domains)}"
    )
    return Drawing(title="Pairs of parameters", caption=caption, figure=figure, points=tuple(points))


def _pair(
    axes: Axes,
    trials: StudyTrials,
    pair: tuple[AxisDomain, AxisDomain],
    subset: Sequence[FigureTrial],
    limits: tuple[float, float],
) -> list[Points]:
    # The best lie on top.
    ranked = sorted(subset, key=lambda trial: -trials.score.rank(trial.values[0]))
    x, y = (places(domain, ranked) for domain in pair)
    good = _goodness(trials, ranked, limits)
    _dots(axes, x, y, SHADES(good), 0.4 + 1.2 * good)
    for which, domain, at in zip("xy", pair, (x, y), strict=True):
        parameter_axis(axes, which, domain, at.tolist(), 5)
        axes.set(**{f"{which}label": literal(wrapped(domain.name, 24))})
    tidy(axes, "both")
    names = [domain.name for domain in pair]
    return [trials.points(axes, ranked, x, y, names), *trials.signs(axes, ranked, x, y, names)]


def parallel(trials: StudyTrials) -> Drawing:
    """A line per trial through an upright axis for the objective and for each parameter."""
    trials.need(2, 2)
    everywhere = [
        domain for name, domain in trials.domains.items() if all(name in trial.params for trial in trials.done)
    ]
    domains = everywhere[:MOST_PARAMS]
    if len(domains) < 2:
        raise NothingToDraw("needs two parameters that every complete trial has, the others hang on conditions")
    special = trials.special(trials.done)
    others = [trial for trial in trials.done if not trial.role]
    subset = [*spread(others, MOST_LINES - len(special)), *special]
    limits = objective_limits(trials.values(trials.done), trials.score)
    # By all trials, as the numbers on the axes are, and not by those that are drawn.
    ends = {domain.name: _ends(domain, trials.done) for domain in domains}
    relative = (_relative(places(one, subset), ends[one.name], log=one.log) for one in domains)
    heights = np.column_stack([_relative(trials.values(subset), limits), *relative])
    figure = blank(PAGE, 3.0)
    axes = figure.subplots()
    _parallel_lines(axes, trials, subset, heights, limits)
    _upright_axes(axes, trials, domains, ends, limits)
    _bar(figure, [axes], limits, trials.score.unit_label, up=trials.score.direction == "maximize")
    legend_below(figure, [axes])
    caption = (
        f"Each line is a trial, from its {trials.score.label} on the left through its parameters; darker is better."
    )
    caption += first_of(domains, trials.domains) if len(everywhere) > len(domains) else ""
    if len(everywhere) < len(trials.domains):
        caption += " Parameters that hang on conditions are left out."
    names = [domain.name for domain in domains]
    points = [trials.points(axes, subset, [0] * len(subset), heights[:, 0], names)]
    points += [
        trials.points(axes, subset, [place] * len(subset), heights[:, place], [name])
        for place, name in enumerate(names, start=1)
    ]
    return Drawing(
        title="Parallel coordinates",
        caption=caption + some_of(subset, trials.done),
        figure=figure,
        points=tuple(points),
    )


def _parallel_lines(
    axes: Axes,
    trials: StudyTrials,
    subset: Sequence[FigureTrial],
    heights: NDArray[np.float64],
    limits: tuple[float, float],
) -> None:
    plain = [place for place, trial in enumerate(subset) if not trial.role]
    plain.sort(key=lambda place: -trials.score.rank(subset[place].values[0]))
    lines = [list(enumerate(heights[place])) for place in plain]
    if lines:
        colours = SHADES(_goodness(trials, [subset[place] for place in plain], limits))
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=0.8, rasterized=len(lines) > MANY))
    for trial, line in zip(subset, heights, strict=True):
        if trial.role:
            axes.plot(range(len(line)), line, color=INK, lw=1.5, ls=DASHES[trial.role], zorder=4)
            for place, height in enumerate(line):
                sign(axes, trial.role, place, height, trials.label(trial))


def _upright_axes(
    axes: Axes,
    trials: StudyTrials,
    domains: Sequence[AxisDomain],
    ends: Mapping[str, tuple[float, float]],
    limits: tuple[float, float],
) -> None:
    """The axes with their ends and, of choices, every one."""
    score = trials.score
    names = [literal(wrapped(score.unit_label, 15)), *(literal(wrapped(domain.name, 13)) for domain in domains)]
    axes.set_xticks(range(len(names)), names)
    axes.set(xlim=(-0.3, len(domains) + 0.6), ylim=(-0.04, 1.04))
    axes.tick_params(left=False, labelleft=False, bottom=False)
    axes.spines[:].set_visible(False)
    texts = [{at: plain(value) for at, value in zip((0.0, 1.0), limits, strict=True)}]
    texts += [_height_texts(domain, *ends[domain.name]) for domain in domains]
    for place, labels in enumerate(texts):
        axes.axvline(place, color=INK, lw=0.8, zorder=3)
        for height, text in labels.items():
            axes.annotate(
                literal(text),
                (place, height),
                xytext=(4, 0),
                textcoords="offset points",
                ha="left",
                va="center",
                fontsize=SMALL,
                zorder=5,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
            )


def _ends(domain: AxisDomain, trials: Sequence[FigureTrial]) -> tuple[float, float]:
    """What stands at the lower and the upper end of an upright axis."""
    if domain.choices:
        return -0.5, len(domain.choices) - 0.5
    values = [domain.place(trial.params[domain.name]) for trial in trials]
    return min(values), max(values)


def _relative(values: NDArray[np.float64], ends: tuple[float, float], *, log: bool = False) -> NDArray[np.float64]:
    """Values from 0 to 1 between the ends."""
    low, high = map(math.log, ends) if log else ends
    return np.clip(((np.log(values) if log else values) - low) / ((high - low) or 1.0), 0, 1)


def _height_texts(domain: AxisDomain, low: float, high: float) -> dict[float, str]:
    """Place on an upright axis -> what stands there."""
    if domain.choices:
        return {
            (place + 0.5) / len(domain.choices): shorten(choice, LONGEST) for place, choice in enumerate(domain.choices)
        }
    middle = math.sqrt(low * high) if domain.log else (low + high) / 2
    values = (low, high) if domain.whole else (low, middle, high)
    at = _relative(np.array(values), (low, high), log=domain.log)
    return {float(place): plain(value) for place, value in zip(at, values, strict=True)}


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """So many panels: one in a column's width, more over both."""
    columns = count if count < 4 else 2 if count == 4 else 3
    rows = -(-count // columns)
    figure = blank(COLUMN, 2.6) if count == 1 else blank(PAGE, 0.3 + 2.2 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in grid[count:]:
        axes.remove()
    return figure, grid[:count]


def _dots(
    axes: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    colours: NDArray[np.float64],
    size: NDArray[np.float64] | float = 1.0,
) -> None:
    many = len(x) > MANY
    area = (6 if many else 20) * size
    axes.scatter(x, y, s=area, c=colours, edgecolor=INK, linewidth=0 if many else 0.3, rasterized=many)


def _goodness(trials: StudyTrials, subset: Sequence[FigureTrial], limits: tuple[float, float]) -> NDArray[np.float64]:
    """From 0 to 1, the more the better."""
    share = _relative(trials.values(subset), limits)
    return share if trials.score.direction == "maximize" else 1 - share


def _bar(figure: Figure, panels: Sequence[Axes], ends: tuple[float, float], label: str, *, up: bool = True) -> None:
    """The bar of shades at the right of all panels; its dark end is the upper one, or the lower one."""
    mappable = ScalarMappable(Normalize(*ends), SHADES if up else SHADES.reversed())
    bar = figure.colorbar(mappable, ax=list(panels), aspect=30, pad=0.02, fraction=0.05)
    bar.set_label(literal(wrapped(label, 26)))
    bar.ax.yaxis.set_major_locator(few(7))
    bar.outline.set_linewidth(0.5)


def _choices(domains: Sequence[AxisDomain]) -> str:
    return " Dots of one choice are spread, not to cover each other." if any(one.choices for one in domains) else ""
