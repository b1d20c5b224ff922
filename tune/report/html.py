"""Pages of one HTML file each that need nothing else: style, scripts, figures and all are in them."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from tune.report.facts import ReportFacts
from tune.report.figures import Drawings
from tune.report.pyplot import borrowed_pyplot
from tune.report.templates import environment

PNG_DPI = 200
SCRIPTS = ("tables.js",)
"""What pages bring along; each works on what it finds, and without it all can be read."""
_NAMED = re.compile(r'(\bid="|href="#|url\(#)')
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)


def html_report(facts: ReportFacts, drawings: Drawings, svgs: dict[str, str], yaml: str) -> str:
    """The report.

    Args:
        facts: what it says.
        drawings: its figures, with titles and captions.
        svgs: name of a figure -> its SVG, as ``figure_svg`` gives it.
        yaml: the best configuration, empty for none.
    """
    return html_page("report.html.j2", svgs, facts=facts, drawings=drawings, yaml=yaml)


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
        svgs: name of a figure -> its SVG, as ``figure_svg`` gives it.
        content: what the template asks for.
    """
    inline = {name: inline_svg(svg, name) for name, svg in svgs.items()}
    scripts = [page_script(name) for name in SCRIPTS]
    return environment(html=True).get_template(template).render(svgs=inline, scripts=scripts, **content)


def figure_svg(figure: Figure, name: str) -> str:
    """A figure as an SVG file: text as outlines, so that it looks the same everywhere; the same bytes every time."""
    text = io.StringIO()
    with borrowed_pyplot(), mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def figure_png(figure: Figure) -> bytes:
    """A figure as a PNG file of ``PNG_DPI`` dots per inch; the same bytes every time."""
    content = io.BytesIO()
    with borrowed_pyplot():
        # The default of 6 takes twice the time for a file of the same size.
        figure.savefig(content, format="png", dpi=PNG_DPI, pil_kwargs={"compress_level": 2})
    return content.getvalue()


def inline_svg(svg: str, name: str) -> Markup:
    """An SVG for the midst of a page: without its prologue, its ids told apart from those of other figures."""
    body = _NAMED.sub(rf"\g<1>{name}-", _PROLOGUE.sub("", svg, count=1))
    # Matplotlib has escaped all text in it.
    return Markup(body)  # noqa: S704
