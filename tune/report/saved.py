"""Files of a report: written whole, figures as SVG and PNG."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from cluster.machine import machine_cpus
from tune.report.figures import Drawing
from tune.report.html import figure_png, figure_svg
from tune.report.layout import settle


@dataclass(frozen=True, kw_only=True)
class SavedFigures:
    """Where figures lie.

    Attributes:
        svgs: name -> the SVG itself.
        vector: name -> SVG file.
        pixels: name -> PNG file.
    """

    svgs: dict[str, str]
    vector: dict[str, Path]
    pixels: dict[str, Path]


def save_figures(drawn: Mapping[str, Drawing], folder: Path, *, beside: bool = False) -> SavedFigures:
    """Write figures as ``NAME.svg`` and ``NAME.png``, and take others in the folder away.

    Args:
        drawn: the figures by name.
        folder: for the files.
        beside: have a copy of this process write half of them, where there is a second processor. For processes that
            run no other thread: in the copy nobody would open the locks that threads hold.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*folder.glob("*.svg"), *folder.glob("*.png")):
        if path.stem not in drawn:
            path.unlink()
    if beside and machine_cpus() > 1:
        _save_beside(drawn, folder)
    else:
        _save(drawn, folder)
    return SavedFigures(
        svgs={name: (folder / f"{name}.svg").read_text(encoding="utf-8") for name in drawn},
        vector={name: folder / f"{name}.svg" for name in drawn},
        pixels={name: folder / f"{name}.png" for name in drawn},
    )


def _save_beside(drawn: Mapping[str, Drawing], folder: Path) -> None:
    own, others = _halves(drawn)
    copy = get_context("fork").Process(target=_save_as_copy, args=(others, folder))
    copy.start()
    try:
        _save(own, folder)
        copy.join()
    finally:
        copy.kill()
    if copy.exitcode:
        _save(others, folder)


def _save_as_copy(drawn: Mapping[str, Drawing], folder: Path) -> None:
    """Silently: what goes wrong goes wrong again in the first process, and Ctrl-C is that one's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _save(drawn, folder)
    except Exception:  # noqa: BLE001 - said by the exit code
        sys.exit(1)


def _halves(drawn: Mapping[str, Drawing]) -> tuple[dict[str, Drawing], dict[str, Drawing]]:
    """Two parts that take about as long: axes are what takes time."""
    halves: tuple[dict[str, Drawing], dict[str, Drawing]] = ({}, {})
    weights = {name: len(drawing.figure.axes) for name, drawing in drawn.items()}
    for name in sorted(drawn, key=lambda name: -weights[name]):
        min(halves, key=lambda half: sum(weights[other] for other in half))[name] = drawn[name]
    return halves


def _save(drawn: Mapping[str, Drawing], folder: Path) -> None:
    for name, drawing in drawn.items():
        settle(drawing.figure)
        save_text(folder / f"{name}.svg", figure_svg(drawing.figure, name))
        save_bytes(folder / f"{name}.png", figure_png(drawing.figure))


def save_text(path: Path, text: str) -> Path:
    """A text file in UTF-8; its path."""
    return save_bytes(path, text.encode())


def save_bytes(path: Path, content: bytes) -> Path:
    """Write whole files only: a report may be renewed while somebody reads it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)
    return path
