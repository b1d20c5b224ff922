"""A figure with its words, and the points on it that have something to say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_T = TypeVar("_T")
MOST_POINTS = 2000
"""Points of a figure that a page can name; more would make it slow to load."""


@dataclass(frozen=True, kw_only=True)
class Points:
    """Points of a figure that a pointer may ask about.

    Attributes:
        axes: where they are drawn.
        x: their place, in the axes' data.
        y: likewise.
        texts: what each is.
        special: whether they stay where there are too many: the best and the base.
    """

    axes: Axes
    x: Sequence[float]
    y: Sequence[float]
    texts: Sequence[str]
    special: bool = False


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure with its words.

    Attributes:
        title: what it is.
        caption: how to read it, and which trials it leaves out.
        figure: ready to be saved; belongs to the caller.
        points: what a pointer may ask about.
    """

    title: str
    caption: str
    figure: Figure
    points: tuple[Points, ...] = ()

    def places(self) -> list[tuple[float, float, str]]:
        """Where the points lie in the SVG, from its upper left corner in points, and what each is.

        The figure must be settled. Points outside of their axes are left out, and of too many some, evenly.
        """
        signs = [place for points in self.points if points.special for place in _places(points)]
        others = [place for points in self.points if not points.special for place in _places(points)]
        return [*signs, *spread(others, MOST_POINTS - len(signs))]

    @property
    def marks(self) -> str:
        """``places`` as JSON, for the page's script."""
        return json.dumps(self.places(), ensure_ascii=False, separators=(",", ":"))


@dataclass(kw_only=True)
class Drawings:
    """The figures of a study.

    Attributes:
        figures: name -> figure, names such as ``history`` and ``slice``.
        missing: name -> why that figure is not drawn.
    """

    figures: dict[str, Drawing] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


class NothingToDraw(Exception):  # noqa: N818 - no error, it says why a figure is left out
    """A figure that would say nothing; the message says why."""


def spread(items: Sequence[_T], limit: int) -> list[_T]:
    """At most so many of them, evenly over all."""
    if len(items) <= limit:
        return list(items)
    return [items[place * len(items) // limit] for place in range(limit)]


def some_of(part: Sized, everything: Sized) -> str:
    """A sentence for captions where trials are left out."""
    if len(part) == len(everything):
        return ""
    return f" Shown are {len(part):,} of {len(everything):,} trials, evenly over the study."


def first_of(part: Sized, everything: Sized) -> str:
    """A sentence for captions where parameters are left out."""
    return "" if len(part) == len(everything) else f" Shown are the {len(part)} most important parameters."


def _places(points: Points) -> Iterator[tuple[float, float, str]]:
    if not len(points.x):
        return
    figure = points.axes.get_figure(root=True)
    assert figure is not None
    pixels = points.axes.transData.transform(np.column_stack([points.x, points.y]))
    # A dot at the very edge is drawn too.
    left, bottom, right, top = points.axes.bbox.extents + np.array([-1, -1, 1, 1])
    units, height = 72 / figure.dpi, 72 * figure.get_figheight()
    for (x, y), text in zip(pixels.tolist(), points.texts, strict=True):
        if left <= x <= right and bottom <= y <= top:
            yield round(x * units, 1), round(height - y * units, 1), text
