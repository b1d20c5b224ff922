"""Axes of parameters and of objectives: logarithmic, whole or by choice, with few ticks and plain numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from dclf.canvas import few, literal
from dclf.prose import shorten
from tune.report.trials import AxisDomain, FigureTrial
from tune.study.scores import Score

SPREAD = 0.22
"""How far the dots of one choice are spread to either side."""
LONGEST = 16
"""Characters of a choice on an axis; a page's pointer tells it whole."""


def places(domain: AxisDomain, trials: Sequence[FigureTrial]) -> NDArray[np.float64]:
    """Where trials lie on a parameter's axis; those of one choice side by side, as they would cover each other."""
    whole = np.array([domain.place(trial.params[domain.name]) for trial in trials], dtype=float)
    if not domain.choices:
        return whole
    # Multiples of the golden ratio fill a range evenly, and are the same every time.
    numbers = np.array([trial.number for trial in trials], dtype=float)
    return whole + SPREAD * (2 * ((numbers * 0.6180339887) % 1) - 1)


def parameter_axis(axes: Axes, which: str, domain: AxisDomain, values: Sequence[float], ticks: int) -> None:
    """Make an axis fit for a parameter.

    Args:
        axes: the panel.
        which: ``x`` or ``y``.
        domain: of the parameter.
        values: the places that are drawn.
        ticks: how many at most, where there are no choices.
    """
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    limits = axes.set_xlim if which == "x" else axes.set_ylim
    if domain.choices:
        names = [shorten(choice, LONGEST) for choice in domain.choices]
        axis.set_ticks(range(len(names)), [literal(name) for name in names])
        if which == "x" and sum(map(len, names)) > 22:
            turn = 90 if len(names) > 6 else 30
            axes.tick_params(axis="x", labelrotation=turn)
            for text in axis.get_ticklabels():
                text.set(ha="right", rotation_mode="anchor", va="center" if turn == 90 else "top")
        limits(-0.5, len(names) - 0.5)
        return
    low, high = float(min(values)), float(max(values))
    if domain.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        # A parameter that hangs on a condition may have one value among these trials.
        room = (high / low) ** 0.06 if high > low else 1.5
        limits(low / room, high * room)
        narrow = math.log10(high / low) < 0.6
        steps = LogLocator(subs=_steps(low, high), numticks=ticks + 1)
        axis.set_major_locator(few(ticks) if narrow else steps)
        axis.set_major_formatter(FuncFormatter(lambda value, _place: plain(value)))
        axis.set_minor_formatter(NullFormatter())
        axis.set_minor_locator(NullLocator())
    else:
        room = 0.06 * (high - low) or 0.5
        limits(low - room, high + room)
        axis.set_major_locator(few(ticks, integer=domain.whole))


def objective_limits(values: Iterable[float], score: Score) -> tuple[float, float]:
    """The values with a margin, from their fifth percentile on where single bad ones lie far off."""
    ranked = sorted(values)
    low, high = ranked[0], ranked[-1]
    margin = len(ranked) // 20
    middle = ranked[-1 - margin] - ranked[margin]
    if margin and high - low > 4 * middle > 0:
        low, high = (ranked[margin], high) if score.direction == "maximize" else (low, ranked[-1 - margin])
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def plain(value: float, digits: int = 3) -> str:
    """A number without zeros that say nothing: 0.01, 1e-4."""
    text = f"{value:.{digits - 1}e}" if 0 < abs(value) < 1e-3 else f"{value:.{max(digits, 4)}g}"
    return re.sub(r"\.?0*e([+-])0*", lambda end: f"e{end[1]}".replace("+", ""), text)


def off_axis(values: NDArray[np.float64], limits: tuple[float, float]) -> str:
    """A sentence of the trials that lie outside of the limits; empty where none do."""
    count = int(((values < limits[0]) | (values > limits[1])).sum())
    if not count:
        return ""
    return f" {count:,} far worse {'trial lies' if count == 1 else 'trials lie'} outside of the axis."


def _steps(low: float, high: float) -> tuple[float, ...]:
    """Where the ticks of a decade stand: the fewer, the more decades there are."""
    decades = math.log10(high / low)
    return (1.0,) if decades > 1.7 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0)
