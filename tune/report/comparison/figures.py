"""A comparison's figures in the paper's form: F1 per label (Figure 3), both gammas (Figure 4), the window (Table 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from tune.analysis.comparison.claims import as_in_paper
from tune.analysis.comparison.differences import base_models, whole_frameworks
from tune.analysis.comparison.grids import Grid, grids_over
from tune.analysis.comparison.paper import GAMMA_CA, GAMMA_MC, OPTIMUM, WINDOW
from tune.analysis.comparison.tables import class_names, has_published
from tune.analysis.comparison.variants import Variant, variants_of
from tune.report.comparison.canvas import (
    COLOURS,
    INK,
    SMALL,
    TEXT,
    blank,
    legend_below,
    literal,
    room_above,
    shades,
    tidy,
)
from tune.report.figures import Drawing
from tune.study.folder import StudyFolder
from tune.study.scores import deviation, value_text

LABELS, GAMMAS, WINDOWS = "labels", "gammas", "window"
PUBLISHED = "published"
BARS_WIDE = 0.8
"""Share of a label's place that its bars fill."""


def comparison_figures(folder: StudyFolder) -> dict[str, Drawing]:
    """Name -> figure: those that the study has the variants for."""
    drawings = {LABELS: label_figure(folder), GAMMAS: gamma_figure(folder), WINDOWS: window_figure(folder)}
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}


def label_figure(folder: StudyFolder) -> Drawing | None:
    """Figure 3: a bar per label, base model, and without or with DCLF; None without both, or for too many to tell."""
    variants = variants_of(folder)
    bases, wholes = base_models(variants), whole_frameworks(variants)
    sides = [one for model in bases if model in wholes for one in (bases[model], wholes[model])]
    labels = class_names(sides)
    if not sides or not labels or len(sides) > 2 * len(COLOURS):
        return None
    figure = blank(max(6.0, 1.6 + 0.32 * len(labels) * len(sides)), 3.4)
    axes = figure.subplots()
    tops = [top for place, one in enumerate(sides) for top in _bars(axes, one, place, len(sides), labels)]
    published = [top for place, one in enumerate(sides) for top in _markers(axes, one, place, len(sides), labels)]
    axes.set_xticks(range(len(labels)), [literal(label) for label in labels])
    axes.set_ylabel("test F1 (%)", fontsize=TEXT)
    axes.set_ylim(0, room_above([*tops, *published]))
    axes.set_xlim(-0.5, len(labels) - 0.5)
    tidy(axes)
    legend_below(axes, min(5, len(sides) + bool(published)), last=PUBLISHED)
    caption = f"Light bars are base models alone, dark ones with DCLF; {_seeds(sides)}.{_diamonds(folder, published)}"
    return Drawing(title="F1 per label", caption=caption, figure=figure)


def gamma_figure(folder: StudyFolder) -> Drawing | None:
    """Figure 4: a heat map of WF1 per base model; None unless just both gammas vary."""
    grids = grids_over(folder, (GAMMA_CA, GAMMA_MC))
    if not grids:
        return None
    rows, columns = (max(len(grid.axis(place)) for grid in grids) for place in (0, 1))
    figure = blank(1.3 + len(grids) * (0.7 + 0.72 * columns), 1.2 + 0.55 * rows)
    panels = np.atleast_1d(figure.subplots(1, len(grids)))
    values = [100 * variant.mean("wf1") for grid in grids for variant in grid.cells.values()]
    for axes, grid in zip(panels, grids, strict=True):
        image = _heat(axes, grid, min(values), max(values))
    bar = figure.colorbar(image, ax=list(panels), shrink=0.9, pad=0.02)
    bar.set_label("test WF1 (%)", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return Drawing(title="WF1 by gamma_ca and gamma_mc", caption=_gamma_caption(folder, grids), figure=figure)


def window_figure(folder: StudyFolder) -> Drawing | None:
    """Table 5 as curves; None unless just the window varies."""
    grids = grids_over(folder, (WINDOW,))
    if not grids:
        return None
    figure = blank(5.2, 3.3)
    axes = figure.subplots()
    windows = sorted({window for grid in grids for window in grid.axis(0)})
    published = [_curve(axes, grid, windows, place) for place, grid in enumerate(grids)]
    axes.set_xticks(range(len(windows)), [value_text(window) for window in windows])
    axes.set_xlabel("dialogue window W", fontsize=TEXT)
    axes.set_ylabel("test WF1 (%)", fontsize=TEXT)
    tidy(axes)
    legend_below(axes, 2)
    variants = [one for grid in grids for one in grid.cells.values()]
    caption = f"WF1 by the dialogue window; {_seeds(variants)}."
    if any(published):
        caption += f" Dotted: published{_other_data(folder)}."
    return Drawing(title="Dialogue window", caption=caption, figure=figure)


def _bars(axes: Axes, variant: Variant, place: int, count: int, labels: Sequence[str]) -> list[float]:
    """One variant's bars; how high they reach with their error bars, in percent."""
    dark, light = shades(place // 2)
    values = [[100 * value for value in variant.score(f"f1/{label}").values()] for label in labels]
    means = [math.fsum(scores) / len(scores) if scores else 0.0 for scores in values]
    errors = [0.0 if math.isnan(spread := deviation(scores)) else spread for scores in values]
    axes.bar(
        _places(place, count, len(labels)),
        means,
        BARS_WIDE / count,
        yerr=errors if any(errors) else None,
        color=dark if place % 2 else light,
        edgecolor=dark,
        linewidth=0.6,
        error_kw={"lw": 0.8, "capsize": 2, "ecolor": INK},
        label=literal(f"{variant.model} + DCLF" if place % 2 else variant.model),
    )
    return [mean + error for mean, error in zip(means, errors, strict=True)]


def _markers(axes: Axes, variant: Variant, place: int, count: int, labels: Sequence[str]) -> list[float]:
    """The paper's values over one variant's bars."""
    scores = [variant.published.get(f"f1/{label}") for label in labels]
    published = {at: 100 * score for at, score in enumerate(scores) if score is not None}
    if published:
        places = _places(place, count, len(labels))
        again = any(text == PUBLISHED for text in axes.get_legend_handles_labels()[1])
        axes.scatter(
            [places[at] for at in published],
            list(published.values()),
            marker="D",
            s=16,
            facecolor="white",
            edgecolor=INK,
            linewidth=0.9,
            zorder=3,
            label=None if again else PUBLISHED,
        )
    return list(published.values())


def _places(place: int, count: int, labels: int) -> list[float]:
    """Where the bars of one of ``count`` variants stand."""
    return [label + ((place + 0.5) / count - 0.5) * BARS_WIDE for label in range(labels)]


def _heat(axes: Axes, grid: Grid, low: float, high: float) -> AxesImage:
    """One panel, gamma_ca upwards and gamma_mc to the right."""
    rows, columns = grid.axis(0), grid.axis(1)
    table = np.full((len(rows), len(columns)), np.nan)
    for (row, column), variant in grid.cells.items():
        table[rows.index(row), columns.index(column)] = 100 * variant.mean("wf1")
    image = axes.imshow(table, cmap="Blues", vmin=low, vmax=max(high, low + 1e-9), origin="lower", aspect="auto")
    for (row, column), variant in grid.cells.items():
        place = rows.index(row), columns.index(column)
        _annotate(axes, variant, *place, bright=table[place] > low + 0.6 * (high - low))
    for values, style in ((grid.own, "--"), *((values, "-") for values in grid.best)):
        if values in grid.cells:
            _frame(axes, rows.index(values[0]), columns.index(values[1]), style)
    axes.set_xticks(range(len(columns)), [value_text(value) for value in columns], fontsize=SMALL)
    axes.set_yticks(range(len(rows)), [value_text(value) for value in rows], fontsize=SMALL)
    axes.set_xlabel(r"$\gamma_{mc}$", fontsize=TEXT)
    axes.set_ylabel(r"$\gamma_{ca}$", fontsize=TEXT)
    axes.set_title(literal(f"{grid.model} + DCLF"), fontsize=TEXT)
    axes.tick_params(length=0)
    return image


def _annotate(axes: Axes, variant: Variant, row: int, column: int, *, bright: bool) -> None:
    """The cell's mean, and under it the deviation over seeds."""
    colour = "white" if bright else INK
    spread = 100 * deviation(list(variant.wf1.values()))
    several = not math.isnan(spread)
    mean = f"{100 * variant.mean('wf1'):.2f}"
    axes.text(column, row + (0.12 if several else 0), mean, ha="center", va="center", color=colour, fontsize=SMALL)
    if several:
        axes.text(column, row - 0.24, f"± {spread:.2f}", ha="center", va="center", color=colour, fontsize=6)


def _frame(axes: Axes, row: int, column: int, style: str) -> None:
    corner = (column - 0.47, row - 0.47)
    axes.add_patch(Rectangle(corner, 0.94, 0.94, fill=False, edgecolor="#d55e00", linewidth=2, linestyle=style))


def _gamma_caption(folder: StudyFolder, grids: Sequence[Grid]) -> str:
    parts = [f"WF1 by both weights of the contrasts; {_seeds([one for grid in grids for one in grid.cells.values()])}"]
    parts.append("Solid frame: the highest mean, marked to be read; nothing was chosen by its test score")
    ca, mc = map(value_text, grids[0].own)
    if any(grid.own in grid.cells for grid in grids):
        parts.append(f"Dashed frame: the configuration's own weights ({ca}, {mc})")
    else:
        parts.append(f"The configuration's own weights ({ca}, {mc}) are not on the grid")
    optimum = OPTIMUM.get(str(folder.definition.base.published.get("dataset")))
    if optimum:
        parts.append(f"The paper's optimum on {optimum[0]} is at gamma_ca {optimum[1]}{_other_data(folder)}")
    return ". ".join(parts) + "."


def _curve(axes: Axes, grid: Grid, windows: Sequence[object], place: int) -> bool:
    """One base model's curve, and the paper's; whether there is one."""
    dark, _ = shades(place)
    points = sorted((windows.index(values[0]), one) for values, one in grid.cells.items())
    spreads = [100 * deviation(list(one.wf1.values())) for _, one in points]
    axes.errorbar(
        [at for at, _ in points],
        [100 * one.mean("wf1") for _, one in points],
        yerr=None if any(map(math.isnan, spreads)) else spreads,
        color=dark,
        marker="o",
        markersize=4,
        linewidth=1.5,
        capsize=3,
        label=literal(f"{grid.model} + DCLF"),
    )
    published = [(at, 100 * one.published["wf1"]) for at, one in points if has_published(one, ["wf1"])]
    if published:
        at, values = zip(*published, strict=True)
        label = literal(f"{grid.model} + DCLF, published")
        axes.plot(at, values, ":D", color=dark, markersize=4, markerfacecolor="white", label=label)
    return bool(published)


def _seeds(variants: Sequence[Variant]) -> str:
    counts = {len(variant.test) for variant in variants}
    if counts == {1}:
        return "one seed"
    text = str(counts.pop()) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return f"means over {text} seeds with their sample deviation"


def _diamonds(folder: StudyFolder, published: Sequence[float]) -> str:
    return f" Diamonds: published{_other_data(folder)}." if published else ""


def _other_data(folder: StudyFolder) -> str:
    """A reminder where the measured data are not the paper's."""
    paper = folder.definition.base.published.get("dataset", "")
    return f" (of {paper}, not of these data)" if paper and not as_in_paper(folder.definition) else ""
