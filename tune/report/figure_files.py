"""Files of a report: written whole, figures as SVG and PNG."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from dclf.canvas import in_style, settle
from tune.config.local_files import save_bytes, save_text
from tune.report.drawing import Drawing

PNG_DPI = 300


@dataclass(frozen=True, kw_only=True)
class FigureFiles:
    """Where figures lie.

    Attributes:
        svgs: name -> the SVG for a page, whose text is text.
        vector: name -> SVG file.
        pixels: name -> PNG file.
    """

    svgs: dict[str, str]
    vector: dict[str, Path]
    pixels: dict[str, Path]


def save_figures(drawings: Mapping[str, Drawing], folder: Path) -> FigureFiles:
    """Write figures as ``NAME.svg`` and ``NAME.png``.

    Args:
        drawings: the figures by name.
        folder: for the files.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    svgs = {}
    for name, drawing in drawings.items():
        settle(drawing.figure)
        svgs[name] = figure_svg(drawing.figure, name, outlines=False)
        save_text(folder / f"{name}.svg", figure_svg(drawing.figure, name))
        save_bytes(folder / f"{name}.png", figure_png(drawing.figure))
    return FigureFiles(
        svgs=svgs,
        vector={name: folder / f"{name}.svg" for name in drawings},
        pixels={name: folder / f"{name}.png" for name in drawings},
    )


def remove_other_figures(folder: Path, names: Collection[str]) -> None:
    """Take away figures of an earlier report that this one does not have."""
    for path in (*folder.glob("*.svg"), *folder.glob("*.png")):
        if path.stem not in names:
            path.unlink()


def figure_svg(figure: Figure, name: str, *, outlines: bool = True) -> str:
    """A figure as SVG, the same bytes every time.

    Args:
        figure: to be saved.
        name: told apart by it from other figures.
        outlines: whether text is stored as outlines, so that it looks the same everywhere, or as text, which can be
            searched and copied, in the first font of the list that the reader has.
    """
    text = io.StringIO()
    with in_style(), mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path" if outlines else "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def figure_png(figure: Figure) -> bytes:
    """A figure as PNG of ``PNG_DPI`` dots per inch; the same bytes every time."""
    content = io.BytesIO()
    with in_style():
        # The default of 6 takes twice the time for a file of the same size.
        figure.savefig(content, format="png", dpi=PNG_DPI, pil_kwargs={"compress_level": 2})
    return content.getvalue()
