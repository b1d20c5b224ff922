"""One style for every figure: widths of a journal's columns, type of 8 pt and up, colours, signs, legends.

Figures are built on their own canvas, without pyplot: nothing is kept alive, no window opens, threads do not mix.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLUMN, PAGE = 3.5, 7.2
"""Widths in inches: a journal's column (89 mm), and both of them."""
TEXT, SMALL = 9, 8
"""Sizes of type in points: axes' labels, and everything else."""
INK, GRID, PAPER = "#222222", "#dddddd", "#ffffff"
"""Text and lines, grid, background. A page may give them other colours, so nothing else has these."""
ON_LIGHT, ON_DARK = "#1f1f1f", "#fefefe"
"""Text on a coloured ground, which is the same on every page."""
QUIET = "#767676"
COLOURS = (("#0072b2", "#9fcae6"), ("#d55e00", "#f4c19d"), ("#009e73", "#9edcc8"), ("#cc79a7", "#edcfe0"))
"""A dark and a light shade in turn; told apart by colour-blind readers, and in print."""
HATCHES = ("", "////", "....", "xxxx")
"""What stands for the colours where there are none."""
STROKES = ("-", "--", ":", "-.")
SHADES = LinearSegmentedColormap.from_list("shades", ["#e3eff7", "#56a6d6", "#00568a"])
"""From little to much; its lightness falls all the way, so it reads in grey too."""
SIGNS: dict[str, dict[str, Any]] = {
    "best": {"marker": "*", "s": 120, "facecolor": "#f0b000", "edgecolor": INK, "linewidth": 0.8, "zorder": 6},
    "base": {"marker": "s", "s": 34, "facecolor": PAPER, "edgecolor": INK, "linewidth": 1.3, "zorder": 5},
}
"""How the best and the base stand out in every figure."""
DASHES: dict[str, Any] = {"best": "-", "base": (0, (4, 1, 1, 1))}
"""And their lines."""
MANY = 300
"""Dots or lines from which on they are stored as pixels: an SVG of 5,000 shapes is slow to open."""

_STYLE = {
    "font.size": SMALL,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": INK,
    "axes.facecolor": PAPER,
    "axes.linewidth": 0.7,
    "axes.formatter.useoffset": False,
    "hatch.linewidth": 0.5,
    "figure.facecolor": PAPER,
    "savefig.facecolor": "auto",
}
_LOCK = threading.RLock()
"""Matplotlib's settings and the warnings' filters belong to the whole process."""


@contextmanager
def in_style() -> Iterator[None]:
    """Draw and save in this style whatever the user's own settings are, which are as before when the block ends."""
    with _LOCK, style.context(["default", _STYLE]), warnings.catch_warnings():
        # A character that the font lacks becomes a box.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield


def blank(width: float, height: float) -> Figure:
    """An empty figure of so many inches that can be saved, unknown to pyplot."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def settle(figure: Figure) -> None:
    """Place everything once; matplotlib would do it anew for every file, at the cost of drawing it again."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)


def shades(place: int) -> tuple[str, str]:
    """The dark and the light colour of the base model at this place."""
    return COLOURS[place % len(COLOURS)]


def text_on(colour: Any) -> str:
    """The colour of text that can be read on this one."""
    red, green, blue = (part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour))
    # Where both have the same contrast, by the formula of the web's guidelines.
    return ON_DARK if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.18 else ON_LIGHT


def literal(text: object) -> str:
    """Text that matplotlib takes as it stands, without reading formulas into dollar signs."""
    return str(text).replace("$", r"\$")


def wrapped(text: str, width: int) -> str:
    """Text in lines of about so many characters, broken after spaces, dots, underscores and slashes."""
    lines = [""]
    for piece in re.findall(r"[^ ._/]*[ ._/]*", text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def tidy(axes: Axes, grid: str = "y") -> None:
    """A quiet grid behind the marks, no frame above and on the right."""
    axes.grid(axis=grid, color=GRID, lw=0.7)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def few(count: int = 6, *, integer: bool = False) -> MaxNLocator:
    """At most so many steps between ticks, however large the axes turn out: their labels take part in the layout."""
    steps = [1, 2, 5, 10] if integer else [1, 2, 2.5, 5, 10]
    return MaxNLocator(count, steps=steps, integer=integer, min_n_ticks=1 if integer else 2)


def sign(axes: Axes, role: str, x: float, y: float, label: str) -> None:
    """The sign of the best or the base at a point, with its words in the legend."""
    axes.scatter([x], [y], label=literal(label), clip_on=False, **SIGNS[role])


def legend_below(figure: Figure, axes: Sequence[Axes] | None = None, last: str = "") -> None:
    """One legend under all axes, where it hides nothing, in as many columns as fit; the figure grows by its height.

    Args:
        figure: to which it is added.
        axes: whose entries it has, each label once; all of the figure's where None.
        last: label of the entry that is moved to the end.
    """
    entries: dict[str, Any] = {}
    for one in figure.axes if axes is None else axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if not entries:
        return
    # A character of this type is 0.067 inches wide, a handle with the room about it 0.5.
    longest = int((figure.get_figwidth() - 0.5) / 0.067)
    handles = {wrapped(label, longest): entries[label] for label in sorted(entries, key=lambda label: label == last)}
    labels = list(handles)
    width = max(len(line) for label in labels for line in label.split("\n"))
    columns = max(1, min(len(labels), int(figure.get_figwidth() / (0.5 + 0.067 * width))))
    rows = -(-len(labels) // columns)
    # Evenly filled.
    columns = -(-len(labels) // rows)
    lines = rows + sum(label.count("\n") for label in labels)
    figure.set_figheight(figure.get_figheight() + 0.1 + 0.17 * lines)
    figure.legend(
        handles.values(),
        labels,
        loc="outside lower center",
        ncols=columns,
        columnspacing=1.2,
        handletextpad=0.5,
        borderpad=0.1,
    )


def room_above(values: Sequence[float]) -> float:
    """The upper end of an axis of percent."""
    return min(105.0, max(values, default=0.0) * 1.08 + 1)
