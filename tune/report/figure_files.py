"""Files of a report: written whole, figures as SVG and PNG."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tune.config.local_files import save_bytes, save_text
from tune.report.figures import Drawing
from tune.report.html import figure_png, figure_svg
from tune.report.layout import settle


@dataclass(frozen=True, kw_only=True)
class FigureFiles:
    """Where figures lie.

    Attributes:
        svgs: name -> the SVG itself.
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
        svgs[name] = figure_svg(drawing.figure, name)
        save_text(folder / f"{name}.svg", svgs[name])
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
