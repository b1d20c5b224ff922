"""The figures of a perturbation test, of a run as of a study: a line per variant, what it keeps of its raw WF1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from dclf.canvas import COLUMN, PAGE, STROKES, blank, in_style, legend_below, literal, shades, tidy
from tune.analysis.perturbation.tables import KINDS, PerturbedVariant, one_seed
from tune.report.drawing import Drawing, Points
from tune.report.panels import panel_figure, panels_by_model
from tune.study.scores import deviation

CONTEXTS, DAMAGE = "contexts", "damage"
_MARKERS = ("o", "s", "^", "D", "v", "P")
_PER_ROW = 3


def perturbation_figures(rows: Sequence[PerturbedVariant]) -> dict[str, Drawing]:
    """Name -> figure: substituted contexts, and damaged modalities, as far as they were tested."""
    with in_style():
        drawings = {CONTEXTS: _contexts(rows), DAMAGE: _damage(rows)}
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}


def _contexts(rows: Sequence[PerturbedVariant]) -> Drawing | None:
    """WF1 raw and under every kind of substitution; each draw of a single run as a dot of its own."""
    kinds = ["raw", *(kind for kind in KINDS if any(row.values(kind, by_draw=False) for row in rows))]
    if len(kinds) == 1:
        return None
    panels = panels_by_model(rows, lambda row: row.variant.model)
    figure, grid = panel_figure(list(panels), "", f"{_split(rows)} WF1 (%)")
    single = one_seed(rows)
    points = []
    for axes, (title, group) in zip(grid, panels.items(), strict=True):
        for place, row in enumerate(group):
            tested = [(float(at), kind) for at, kind in enumerate(kinds) if row.values(kind, by_draw=False)]
            scores = {at: row.values(kind, by_draw=False) for at, kind in tested}
            names = [KINDS.get(kind, kind) for _, kind in tested]
            points += _line(axes, scores, row, place, names, label=row.variant.name if title else "")
            if single:
                draws = [(at, value) for at, kind in enumerate(kinds) for value in row.values(kind, by_draw=True)]
                x, y = zip(*draws, strict=True)
                axes.scatter(x, [100 * value for value in y], s=10, color=shades(place)[1], zorder=1)
        axes.set_xticks(range(len(kinds)), [KINDS.get(kind, kind) for kind in kinds])
        axes.set_xlim(-0.3, len(kinds) - 0.7)
        _tidy(axes)
    legend_below(figure)
    caption = f"WF1 on raw and on substituted contexts; {_spread(rows, 'means over the draws')}."
    if single:
        caption += " Pale dots: the draws."
    return Drawing(title="Substituted contexts", caption=caption, figure=figure, points=tuple(points))


def _damage(rows: Sequence[PerturbedVariant]) -> Drawing | None:
    """A panel per modality and damage: WF1 by the share of the utterances that are hit, from none on."""
    kinds = list(dict.fromkeys(damage for row in rows for damage, _ in _damaged(row)))
    if not kinds:
        return None
    columns = min(len(kinds), _PER_ROW)
    lines = math.ceil(len(kinds) / columns)
    figure = blank(COLUMN if columns == 1 else PAGE, 2.0 * lines)
    panels = np.atleast_1d(figure.subplots(lines, columns, sharey=True)).ravel()
    points: list[Points] = []
    for axes, (modality, kind) in zip(panels, kinds, strict=False):
        for place, row in enumerate(rows):
            shares = dict(share for damage, share in _damaged(row) if damage == (modality, kind))
            values = {0.0: row.values("raw", by_draw=False)} if shares else {}
            values |= {100 * share: row.values(name, by_draw=False) for share, name in sorted(shares.items())}
            points += _line(axes, values, row, place, [f"{modality}, {kind}, {share:g} %" for share in values])
        axes.set_title(literal(f"{modality}, {kind}"))
        axes.set_xlabel("utterances hit (%)")
        _tidy(axes)
    for axes in panels[::columns]:
        axes.set_ylabel(f"{_split(rows)} WF1 (%)")
    for axes in panels[len(kinds) :]:
        axes.remove()
    legend_below(figure)
    caption = "WF1 by the share of the utterances whose modality is damaged, at 0 % the raw one; "
    caption += f"{_spread(rows, 'one mask per share')}."
    return Drawing(title="Damaged modalities", caption=caption, figure=figure, points=tuple(points))


def _damaged(row: PerturbedVariant) -> Iterator[tuple[tuple[str, str], tuple[float, str]]]:
    """(modality, damage), (share, name) of every such condition of a row."""
    conditions: Mapping[str, Any] = {
        name: one for test in row.trainings.values() for name, one in test.conditions.items()
    }
    for name, condition in conditions.items():
        if condition.share is not None:
            yield (condition.modality, condition.kind), (condition.share, name)


def _line(
    axes: Axes,
    scores: Mapping[float, Sequence[float]],
    row: PerturbedVariant,
    place: int,
    names: Sequence[str],
    label: str = "",
) -> list[Points]:
    """One variant's means with their deviations over seeds; told apart by sign and stroke as well as by colour.

    Args:
        axes: where it is drawn.
        scores: place on the axis -> a score per seed.
        row: the variant.
        place: its place among the variants.
        names: what stands at each place of ``scores``, for the pointer.
        label: in the legend; base model and variant where empty.
    """
    if not scores:
        return []
    variant = f"{row.variant.model}, {row.variant.name}"
    spreads = [100 * deviation(values) for values in scores.values()]
    means = [100 * math.fsum(values) / len(values) for values in scores.values()]
    axes.errorbar(
        list(scores),
        means,
        yerr=None if any(map(math.isnan, spreads)) else spreads,
        color=shades(place)[0],
        marker=_MARKERS[place % len(_MARKERS)],
        linestyle=STROKES[place % len(STROKES)],
        markersize=4,
        linewidth=1.2,
        capsize=2,
        label=literal(label or variant),
    )
    texts = [f"{variant}, {name}: {mean:.2f} %" for name, mean in zip(names, means, strict=True)]
    return [Points(axes=axes, x=list(scores), y=means, texts=texts)]


def _tidy(axes: Axes) -> None:
    """As all figures; ticks of one width, whichever there is room for once everything has its place."""
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:.1f}"))
    tidy(axes)


def _spread(rows: Sequence[PerturbedVariant], single: str) -> str:
    """What the points are; ``single`` says it of a single seed."""
    if one_seed(rows):
        return f"one training seed, {single}"
    counts = sorted({len(row.trainings) for row in rows})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"means over {seeds} seeds with their sample deviation"


def _split(rows: Sequence[PerturbedVariant]) -> str:
    return next(one.split for row in rows for one in row.trainings.values())
