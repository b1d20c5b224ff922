"""The report as Markdown, with its figures as files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tune.analysis.table import markdown_escape, markdown_table

if TYPE_CHECKING:
    from jinja2 import Environment

    from tune.report.drawing import Drawings
    from tune.report.facts import ReportFacts


def markdown_report(facts: ReportFacts, drawings: Drawings, files: Mapping[str, str]) -> str:
    """The report.

    Args:
        facts: what it says.
        drawings: its figures, with titles and captions.
        files: name of a figure -> its path from the report.
    """
    return rendered("report.md.j2", facts=facts, drawings=drawings, files=files)


def rendered(template: str, **content: Any) -> str:
    """A template of Markdown, filled in."""
    return markdown_templates().get_template(template).render(**content)


def markdown_templates() -> Environment:
    """Where templates of Markdown are found; their filters ``text`` and ``table`` escape."""
    # Imported here: tables alone are wanted where nobody should wait for Jinja.
    from tune.report.templates import environment  # noqa: PLC0415

    templates = environment(html=False)
    templates.filters |= {"text": markdown_escape, "table": markdown_table}
    return templates
