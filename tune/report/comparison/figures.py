"""A comparison's figures: F1 per label (Figure 3), both gammas (Figure 4), the window (Table 5), learning curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dclf.canvas import (
    COLOURS,
    COLUMN,
    HATCHES,
    INK,
    PAGE,
    PAPER,
    SHADES,
    SMALL,
    STROKES,
    blank,
    few,
    in_style,
    legend_below,
    literal,
    room_above,
    shades,
    sign,
    text_on,
    tidy,
    wrapped,
)
from tune.analysis.comparison.claims import OTHER_MODALITIES, other_data
from tune.analysis.comparison.differences import base_models, whole_frameworks
from tune.analysis.comparison.grids import Grid, grids_over
from tune.analysis.comparison.paper import GAMMA_CA, GAMMA_MC, OPTIMUM, WINDOW
from tune.analysis.comparison.tables import class_names, has_published
from tune.analysis.comparison.variants import Variant, variants_of
from tune.report.drawing import Drawing, Points
from tune.report.panels import MOST_LINES, panel_figure, panels_by_model
from tune.study.folder import StudyFolder
from tune.study.history import read_history
from tune.study.scores import deviation, objective_curve, scores_of, value_text

LABELS, GAMMAS, WINDOWS = "labels", "gammas", "window"
PUBLISHED = "published"
BARS_WIDE = 0.8
"""Share of a label's place that its bars fill."""
MOST_BARS = 60
"""In one row over both columns of a journal."""
CELL = 0.48
"""Inches that the two numbers of a heat map's cell need."""
BEST_FRAME: dict[str, Any] = {"edgecolor": COLOURS[1][0], "linewidth": 2, "linestyle": "-"}
OWN_FRAME: dict[str, Any] = {"edgecolor": COLOURS[1][0], "linewidth": 2, "linestyle": "--"}
MARKERS = "o^vP"
HIGHEST, OWN = "highest mean", "the configuration's own"
READ_ONLY = "the highest mean, marked to be read; nothing was chosen by its test score"


def comparison_figures(folder: StudyFolder) -> dict[str, Drawing]:
    """Name -> figure in the paper's form: those that the study has the variants for."""
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
    with in_style():
        panels = -(-len(labels) * len(sides) // MOST_BARS)
        width = COLUMN if len(sides) == 2 and len(labels) <= MOST_BARS // 6 else PAGE
        figure = blank(width, 0.4 + 1.9 * panels)
        rows = [list(part) for part in np.array_split(labels, panels)]
        grid = figure.subplots(panels, 1, squeeze=False).ravel().tolist()
        points = [one for axes, row in zip(grid, rows, strict=True) for one in _label_panel(axes, sides, row)]
        top = room_above([axes.dataLim.ymax for axes in grid])
        for axes in grid:
            axes.set_ylim(0, top)
        legend_below(figure, last=PUBLISHED)
    published = any(one.published.get(f"f1/{label}") is not None for one in sides for label in labels)
    caption = f"Light bars are base models alone, dark ones with DCLF; {_seeds(sides)}.{_diamonds(folder, published)}"
    return Drawing(title="F1 per label", caption=caption, figure=figure, points=tuple(points))


def _label_panel(axes: Axes, sides: Sequence[Variant], labels: Sequence[str]) -> list[Points]:
    points = [_bars(axes, one, place, len(sides), labels) for place, one in enumerate(sides)]
    for place, one in enumerate(sides):
        points += _markers(axes, one, place, len(sides), labels)
    crowded = max(map(len, labels)) * len(labels) > 12 * axes.figure.get_figwidth()  # type: ignore[union-attr]
    axes.set_xticks(range(len(labels)), [literal(label) for label in labels])
    if crowded:
        axes.tick_params(axis="x", labelrotation=30)
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    axes.set_ylabel("test F1 (%)")
    axes.yaxis.set_major_locator(few(5))
    axes.set_xlim(-0.5, len(labels) - 0.5)
    tidy(axes)
    return points


def gamma_figure(folder: StudyFolder) -> Drawing | None:
    """Figure 4: a heat map of WF1 per base model; None unless just both gammas vary."""
    grids = grids_over(folder, (GAMMA_CA, GAMMA_MC))
    if not grids:
        return None
    height, columns = (max(len(grid.axis(place)) for grid in grids) for place in (0, 1))
    panel = 0.6 + CELL * columns
    beside = max(1, min(len(grids), int(PAGE / panel)))
    rows = -(-len(grids) // beside)
    values = [100 * variant.mean("wf1") for grid in grids for variant in grid.cells.values()]
    with in_style():
        figure = blank(COLUMN if beside * panel <= COLUMN else PAGE, 1.1 + rows * (0.6 + 0.4 * height))
        panels = figure.subplots(rows, beside, squeeze=False).ravel().tolist()
        for axes in panels[len(grids) :]:
            axes.remove()
        pairs = list(zip(panels, grids, strict=False))
        points = [_heat(axes, grid, min(values), max(values)) for axes, grid in pairs]
        image = panels[0].images[0]
        bar = figure.colorbar(image, ax=panels[: len(grids)], location="bottom", aspect=40, shrink=0.7, pad=0.03)
        bar.set_label("test WF1 (%)")
        bar.ax.xaxis.set_major_locator(few(7))
        bar.outline.set_linewidth(0.5)
        _frames_explained(figure, grids)
    caption = _gamma_caption(folder, grids)
    return Drawing(title="WF1 by gamma_ca and gamma_mc", caption=caption, figure=figure, points=tuple(points))


def window_figure(folder: StudyFolder) -> Drawing | None:
    """Table 5 as curves; None unless just the window varies."""
    grids = grids_over(folder, (WINDOW,))
    if not grids:
        return None
    windows = sorted({window for grid in grids for window in grid.axis(0)})
    with in_style():
        figure = blank(COLUMN, 2.3)
        axes = figure.subplots()
        points = [one for place, grid in enumerate(grids) for one in _curve(axes, grid, windows, place)]
        axes.set_xticks(range(len(windows)), [value_text(window) for window in windows])
        axes.set_xlabel("dialogue window W")
        axes.set_ylabel("test WF1 (%)")
        axes.yaxis.set_major_locator(few())
        axes.margins(x=0.06, y=0.1)
        tidy(axes)
        legend_below(figure)
    variants = [one for grid in grids for one in grid.cells.values()]
    caption = f"WF1 by the dialogue window; {_seeds(variants)}. Star: {READ_ONLY}."
    if any(has_published(one, ["wf1"]) for one in variants):
        caption += f" Dotted: published{_other_data(folder)}."
    return Drawing(title="Dialogue window", caption=caption, figure=figure, points=tuple(points))


def curve_figure(folder: StudyFolder) -> Drawing | None:
    """A line per variant, by epoch; of many variants a panel per base model.

    None where no epochs are known, or a panel would have more lines than are told apart.
    """
    variants = variants_of(folder)
    curves = {one.trial: curve for one in variants if len(curve := _mean_curve(folder, one)) > 1}
    panels = panels_by_model([one for one in variants if one.trial in curves], lambda one: one.model)
    if not curves or max(map(len, panels.values())) > MOST_LINES:
        return None
    score, *_ = scores_of(folder.definition)
    points = []
    with in_style():
        figure, grid = panel_figure(list(panels), "epoch", literal(wrapped(score.unit_label, 26)))
        for axes, (title, group) in zip(grid, panels.items(), strict=True):
            for place, one in enumerate(group):
                curve = curves[one.trial]
                epochs, values = list(curve), [value * score.scale for value in curve.values()]
                name = f"{one.model}, {one.name}"
                # After the last colour the first one comes again, with another stroke.
                stroke = STROKES[(place + place // len(COLOURS)) % len(STROKES)]
                label = literal(one.name if title else name)
                axes.plot(epochs, values, stroke, color=shades(place)[0], lw=1.2, label=label)
                texts = [f"{name}: {score.number(value)} after epoch {epoch}" for epoch, value in curve.items()]
                points.append(Points(axes=axes, x=epochs, y=values, texts=texts))
            axes.xaxis.set_major_locator(few(3 if title else 6, integer=True))
            axes.yaxis.set_major_locator(few())
            tidy(axes)
        legend_below(figure)
    several = any(len(one.test) > 1 for one in variants)
    means = "; means over the seeds; a seed that ended early keeps its last value" if several else ""
    caption = f"The {score.label} of the best epoch so far{means}."
    return Drawing(title="Learning curves", caption=caption, figure=figure, points=tuple(points))


def _mean_curve(folder: StudyFolder, variant: Variant) -> dict[int, float]:
    """Epoch -> the first objective of the best epoch so far, mean over the seeds; epochs that were scored only."""
    objective = next(iter(folder.definition.sweep.objectives))
    histories = [read_history(folder.checkpoint(variant.trial, seed)) for seed in variant.test]
    curves = [objective_curve(epochs, objective) for epochs in histories if epochs]
    longest = max(map(len, curves), default=0)
    whole = [[*curve, *[curve[-1]] * (longest - len(curve))] for curve in curves]
    means = [math.fsum(values) / len(values) for values in zip(*whole, strict=True)]
    return {epoch: mean for epoch, mean in enumerate(means, 1) if not math.isnan(mean)}


def _bars(axes: Axes, variant: Variant, place: int, count: int, labels: Sequence[str]) -> Points:
    """One variant's bars with their deviations."""
    dark, light = shades(place // 2)
    values = [[100 * value for value in variant.score(f"f1/{label}").values()] for label in labels]
    means = [math.fsum(scores) / len(scores) if scores else 0.0 for scores in values]
    spreads = [deviation(scores) for scores in values]
    errors = [0.0 if math.isnan(spread) else spread for spread in spreads]
    name = f"{variant.model} + DCLF" if place % 2 else variant.model
    places = _places(place, count, len(labels))
    axes.bar(
        places,
        means,
        BARS_WIDE / count,
        yerr=errors if any(errors) else None,
        color=dark if place % 2 else light,
        edgecolor=INK,
        hatch=HATCHES[place // 2 % len(HATCHES)],
        linewidth=0.5,
        error_kw={"lw": 0.8, "capsize": 1.5, "ecolor": INK},
        label=literal(name),
    )
    texts = [
        f"{name}, {label}: {_mean(mean, spread)}" for label, mean, spread in zip(labels, means, spreads, strict=True)
    ]
    return Points(axes=axes, x=places, y=means, texts=texts)


def _markers(axes: Axes, variant: Variant, place: int, count: int, labels: Sequence[str]) -> list[Points]:
    """The paper's values over one variant's bars."""
    scores = [variant.published.get(f"f1/{label}") for label in labels]
    published = {at: 100 * score for at, score in enumerate(scores) if score is not None}
    if not published:
        return []
    places = _places(place, count, len(labels))
    x, y = [places[at] for at in published], list(published.values())
    axes.scatter(x, y, marker="D", s=14, facecolor=PAPER, edgecolor=INK, linewidth=0.9, zorder=3, label=PUBLISHED)
    texts = [f"published, {labels[at]}: {value:.2f} %" for at, value in published.items()]
    return [Points(axes=axes, x=x, y=y, texts=texts)]


def _places(place: int, count: int, labels: int) -> list[float]:
    """Where the bars of one of ``count`` variants stand."""
    return [label + ((place + 0.5) / count - 0.5) * BARS_WIDE for label in range(labels)]


def _heat(axes: Axes, grid: Grid, low: float, high: float) -> Points:
    """One panel, gamma_ca upwards and gamma_mc to the right."""
    rows, columns = grid.axis(0), grid.axis(1)
    table = np.full((len(rows), len(columns)), np.nan)
    for (row, column), variant in grid.cells.items():
        table[rows.index(row), columns.index(column)] = 100 * variant.mean("wf1")
    image = axes.imshow(table, cmap=SHADES, vmin=low, vmax=max(high, low + 1e-9), origin="lower", aspect="auto")
    for (row, column), variant in grid.cells.items():
        place = rows.index(row), columns.index(column)
        _annotate(axes, variant, *place, text_on(image.to_rgba(table[place])[:3]))
    for values, look in ((grid.own, OWN_FRAME), *((values, BEST_FRAME) for values in grid.best)):
        if values in grid.cells:
            corner = (columns.index(values[1]) - 0.46, rows.index(values[0]) - 0.46)
            axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, **look))
    axes.set_xticks(range(len(columns)), [value_text(value) for value in columns])
    axes.set_yticks(range(len(rows)), [value_text(value) for value in rows])
    axes.set(xlabel="gamma_mc", ylabel="gamma_ca", title=literal(grid.name))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    texts = [
        f"{grid.model}, gamma_ca {value_text(ca)}, gamma_mc {value_text(mc)}: {_variant_mean(variant)}"
        for (ca, mc), variant in grid.cells.items()
    ]
    x, y = [columns.index(mc) for _, mc in grid.cells], [rows.index(ca) for ca, _ in grid.cells]
    return Points(axes=axes, x=x, y=y, texts=texts)


def _annotate(axes: Axes, variant: Variant, row: int, column: int, colour: str) -> None:
    """The cell's mean, and under it the deviation over seeds."""
    spread = 100 * deviation(list(variant.wf1.values()))
    several = not math.isnan(spread)
    mean = f"{100 * variant.mean('wf1'):.2f}"
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": colour, "fontsize": SMALL}
    axes.text(column, row + (0.18 if several else 0), mean, **look)
    if several:
        axes.text(column, row - 0.2, f"± {spread:.2f}", **look)


def _frames_explained(figure: Figure, grids: Sequence[Grid]) -> None:
    """A legend of the frames that there are."""
    frames = [Rectangle((0, 0), 1, 1, fill=False, label=HIGHEST, **BEST_FRAME)]
    if any(grid.own in grid.cells for grid in grids):
        frames.append(Rectangle((0, 0), 1, 1, fill=False, label=OWN, **OWN_FRAME))
    figure.legend(handles=frames, loc="outside lower center", ncols=2, borderpad=0.1)


def _gamma_caption(folder: StudyFolder, grids: Sequence[Grid]) -> str:
    parts = [f"WF1 by both weights of the contrasts; {_seeds([one for grid in grids for one in grid.cells.values()])}"]
    parts.append(f"Solid frame: {READ_ONLY}")
    ca, mc = map(value_text, grids[0].own)
    if any(grid.own in grid.cells for grid in grids):
        parts.append(f"Dashed frame: the configuration's own weights ({ca}, {mc})")
    else:
        parts.append(f"The configuration's own weights ({ca}, {mc}) are not on the grid")
    optimum = OPTIMUM.get(str(folder.definition.base.published.get("dataset")))
    if optimum and any(grid.part == "none" for grid in grids):
        parts.append(f"The paper's optimum on {optimum[0]} is at gamma_ca {optimum[1]}{_other_data(folder)}")
    return ". ".join(parts) + "."


def _curve(axes: Axes, grid: Grid, windows: Sequence[object], place: int) -> list[Points]:
    """One base model's curve with its signs, and the paper's."""
    dark, _ = shades(place)
    name = grid.name
    cells = sorted(((windows.index(values[0]), one) for values, one in grid.cells.items()), key=lambda cell: cell[0])
    at, means = [where for where, _ in cells], [100 * one.mean("wf1") for _, one in cells]
    spreads = [100 * deviation(list(one.wf1.values())) for _, one in cells]
    yerr = None if any(map(math.isnan, spreads)) else spreads
    look: dict[str, Any] = {"color": dark, "marker": MARKERS[place % len(MARKERS)], "markersize": 4}
    axes.errorbar(at, means, yerr=yerr, linewidth=1.3, capsize=2, label=literal(name), **look)
    texts = [
        f"{name}, W {value_text(windows[where])}: {_mean(mean, spread)}"
        for where, mean, spread in zip(at, means, spreads, strict=True)
    ]
    points = [Points(axes=axes, x=at, y=means, texts=texts)]
    for values, role, label in ((grid.own, "base", OWN), *((values, "best", HIGHEST) for values in grid.best)):
        if values in grid.cells:
            sign(axes, role, windows.index(values[0]), 100 * grid.cells[values].mean("wf1"), label)
    published = [(where, 100 * one.published["wf1"]) for where, one in cells if has_published(one, ["wf1"])]
    if published:
        x, y = zip(*published, strict=True)
        axes.plot(x, y, ":D", color=dark, markersize=4, markerfacecolor=PAPER, label=literal(f"{name}, published"))
        published_texts = [
            f"{name}, published, W {value_text(windows[where])}: {value:.2f} %" for where, value in published
        ]
        points.append(Points(axes=axes, x=x, y=y, texts=published_texts))
    return points


def _variant_mean(variant: Variant) -> str:
    return _mean(100 * variant.mean("wf1"), 100 * deviation(list(variant.wf1.values())))


def _mean(mean: float, spread: float) -> str:
    return f"{mean:.2f} %" if math.isnan(spread) else f"{mean:.2f} ± {spread:.2f} %"


def _seeds(variants: Sequence[Variant]) -> str:
    counts = {len(variant.test) for variant in variants}
    if counts == {1}:
        return "one seed"
    text = str(counts.pop()) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return f"means over {text} seeds with their sample deviation"


def _diamonds(folder: StudyFolder, published: bool) -> str:
    return f" Diamonds: published{_other_data(folder)}." if published else ""


def _other_data(folder: StudyFolder) -> str:
    """A reminder where the measured data are not the paper's, or read otherwise."""
    paper = folder.definition.base.published.get("dataset", "")
    other = other_data(folder.definition)
    if not paper or not other:
        return ""
    return " (of other modalities)" if other == OTHER_MODALITIES else f" (of {paper}, not of these data)"
