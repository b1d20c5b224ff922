"""What the figures of a comparison share: size, colours, type; made for one or two columns of a paper."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TEXT, SMALL = 9, 8
INK, GRID = "#222222", "#dddddd"
COLOURS = (("#0072b2", "#9fcae6"), ("#d55e00", "#f4c19d"), ("#009e73", "#9edcc8"), ("#cc79a7", "#edcfe0"))
"""A dark and a light shade for every base model, in turn; told apart by colour-blind readers, and in print."""


def blank(width: float, height: float) -> Figure:
    """An empty figure of so many inches that can be saved, unknown to pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def shades(place: int) -> tuple[str, str]:
    """The dark and the light colour of the base model at this place."""
    return COLOURS[place % len(COLOURS)]


def literal(text: object) -> str:
    """Text that matplotlib takes as it stands, without reading formulas into dollar signs."""
    return str(text).replace("$", r"\$")


def tidy(axes: Axes) -> None:
    """Small type, a quiet grid behind the marks, no frame above and on the right."""
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="y", color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(axes: Axes, columns: int, last: str = "") -> None:
    """The legend under the axes, where it hides nothing; an entry may be moved to its end."""
    entries = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1] == last)
    handles, labels = zip(*entries, strict=True)
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False)


def room_above(values: Sequence[float]) -> float:
    """The upper end of an axis of percent."""
    return min(105.0, max(values, default=0.0) * 1.08 + 1)
