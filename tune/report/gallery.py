"""Figures as a notebook shows them: each by itself, or all with their words."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from dclf.canvas import in_style, settle
from dclf.prose import quantity
from tune.analysis.table import ShownAsTable, Table
from tune.report.drawing import Drawings
from tune.report.figure_files import PNG_DPI, figure_svg


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that shows itself as the last value of a cell.

    Attributes:
        name: such as ``history``.
        title: what it is.
        caption: how to read it.
        figure: of matplotlib; saves itself in any format with ``figure.savefig``.
    """

    name: str
    title: str
    caption: str
    figure: Figure

    @property
    def svg(self) -> str:
        """As an SVG file."""
        settle(self.figure)
        return figure_svg(self.figure, self.name)

    def save(self, path: str | Path) -> None:
        """Write it to a file, whose format its name says: ``.svg``, ``.png`` or ``.pdf``."""
        with in_style():
            self.figure.savefig(path, dpi=PNG_DPI)

    def __repr__(self) -> str:
        return f"{self.name}: {self.title}"

    def _repr_svg_(self) -> str:
        return self.svg


class Gallery(ShownAsTable, Mapping[str, Picture]):
    """Figures by name.

    Args:
        pictures: in their order.
        missing: name -> why that figure is not drawn.
    """

    def __init__(self, pictures: tuple[Picture, ...], missing: Mapping[str, str] | None = None) -> None:
        self._pictures = {picture.name: picture for picture in pictures}
        self.missing = dict(missing or {})

    @classmethod
    def of(cls, drawings: Drawings) -> Gallery:
        """The figures of a report."""
        pictures = [
            Picture(name=name, title=drawing.title, caption=drawing.caption, figure=drawing.figure)
            for name, drawing in drawings.figures.items()
        ]
        return cls(tuple(pictures), drawings.missing)

    def __getitem__(self, name: str) -> Picture:
        if name in self._pictures:
            return self._pictures[name]
        why = f" ({self.missing[name]})" if name in self.missing else ""
        raise KeyError(f"no figure {name!r}{why}; there are: {', '.join(self) or 'none'}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._pictures)

    def __len__(self) -> int:
        return len(self._pictures)

    def summary(self) -> Table:
        """Names and titles, and why others are missing."""
        rows = [(picture.name, picture.title) for picture in self.values()]
        rows += [(name, f"not drawn: {why}") for name, why in self.missing.items()]
        return Table(title=quantity(len(self), "figure"), head=("name", "figure"), rows=tuple(rows), numeric=2)

    def _repr_html_(self) -> str:
        missing = "".join(f"<p>{escape(name)}: {escape(why)}</p>" for name, why in self.missing.items())
        return "".join(map(_html, self.values())) + missing


def _html(picture: Picture) -> str:
    # As an image of its own: ids within it do not meet those of other figures on the page.
    source = base64.b64encode(picture.svg.encode()).decode()
    words = f"<b>{escape(picture.title)}</b> <code>{escape(picture.name)}</code>. {escape(picture.caption)}"
    image = f'<img alt="{escape(picture.title)}" src="data:image/svg+xml;base64,{source}">'
    return f"<figure>{image}<figcaption>{words}</figcaption></figure>"
