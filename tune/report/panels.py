"""The panels of a figure with a line per variant: one for all, or of more than are told apart one per base model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dclf.canvas import COLUMN, PAGE, blank, literal

MOST_LINES = 8
"""In a panel, more are not told apart."""
_BESIDE = 4
_Row = TypeVar("_Row")


def panels_by_model(rows: Sequence[_Row], model_of: Callable[[_Row], str]) -> dict[str, list[_Row]]:
    """Title of a panel -> its variants; a single one without a title where all of them are told apart.

    Args:
        rows: the variants.
        model_of: a variant's base model.
    """
    if len(rows) <= MOST_LINES:
        return {"": list(rows)}
    models = dict.fromkeys(map(model_of, rows))
    return {model: [row for row in rows if model_of(row) == model] for model in models}


def panel_figure(titles: Sequence[str], x_label: str, y_label: str) -> tuple[Figure, list[Axes]]:
    """An empty figure with a panel per title, four in a row, which share the y axis.

    Args:
        titles: of the panels.
        x_label: under the lowest panel of every column; nothing where empty.
        y_label: beside the first panel of every row.
    """
    beside = min(len(titles), _BESIDE)
    rows = -(-len(titles) // beside)
    figure = blank(COLUMN if beside == 1 else PAGE, 2.2 if rows == 1 else 0.4 + 1.4 * rows)
    grid = figure.subplots(rows, beside, squeeze=False, sharey=True).ravel().tolist()
    for axes in grid[len(titles) :]:
        axes.remove()
    panels = grid[: len(titles)]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(literal(title))
    for axes in panels[::beside]:
        axes.set_ylabel(y_label)
    for axes in panels[-beside:]:
        axes.set_xlabel(x_label)
    return figure, panels
