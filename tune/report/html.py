"""Pages of one HTML file each that need nothing else: style, scripts, figures and all are in them."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from dclf.canvas import COLOURS, GRID, INK, PAPER
from tune.report.templates import environment

SCRIPTS = ("tables.js", "figure.js")
"""What pages bring along; each works on what it finds, and without it all can be read."""
PAGE_COLOURS = {INK: "--ink", GRID: "--grid", PAPER: "--paper"} | {
    dark: f"--line-{place}" for place, (dark, _) in enumerate(COLOURS)
}
"""What of a figure has the page's own colours, light or dark."""
SMALLEST, LARGEST = 1.5, 2.2
"""Pixels of the page for one point of a figure."""
_ID_USES = re.compile(r'(\bid="|href="#|url\(#)')
_SIZE = re.compile(r'width="([0-9.]+)pt" height="[0-9.]+pt"')
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)


@dataclass(frozen=True)
class Script:
    """A script in a page.

    Attributes:
        text: as it stands in the page.
        hash: by which the page's policy allows this script and no other.
    """

    text: Markup
    hash: str


@cache
def page_script(name: str) -> Script:
    """A script of the folder ``templates``."""
    text = files("tune.report").joinpath("templates", name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(text=Markup(text), hash=f"sha256-{digest}")  # noqa: S704 - our own


def html_page(template: str, svgs: dict[str, str], **content: Any) -> str:
    """A page that needs nothing else; everything in it is escaped.

    Args:
        template: its file.
        svgs: name of a figure -> its SVG with text as text, as ``save_figures`` gives it.
        content: what the template asks for.
    """
    inline = {name: inline_svg(svg, name) for name, svg in svgs.items()}
    scripts = [page_script(name) for name in SCRIPTS]
    return environment(html=True).get_template(template).render(svgs=inline, scripts=scripts, **content)


def inline_svg(svg: str, name: str) -> Markup:
    """An SVG for the midst of a page: ids told apart from those of other figures, the page's colours, its size."""
    body = _ID_USES.sub(rf"\g<1>{name}-", _PROLOGUE.sub("", svg, count=1))
    for constant, variable in PAGE_COLOURS.items():
        body = body.replace(constant, f"var({variable}, {constant})")
    # Matplotlib has escaped all text in it.
    return Markup(_SIZE.sub(_sized, body, count=1))  # noqa: S704


def _sized(size: re.Match[str]) -> str:
    """The width on a page: never so small that type is below 11 pixels, which is 8 points in the figure."""
    width = float(size[1])
    return f'style="width: 100%; min-width: {SMALLEST * width:.0f}px; max-width: {LARGEST * width:.0f}px"'
