"""The report as Markdown, with its figures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tune.report.tables import Table

if TYPE_CHECKING:
    from jinja2 import Environment

    from tune.report.facts import ReportFacts
    from tune.report.figures import FigureWords

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$])")


def markdown_escape(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def markdown_table(table: Table) -> str:
    """A table with its numbers to the right, under its note."""
    rule = ["---" if place < table.numeric else "---:" for place in range(len(table.head))]
    rows = [[markdown_escape(cell) for cell in row] for row in (table.head, *table.rows)]
    lines = [rows[0], rule, *rows[1:]]
    note = [markdown_escape(table.note), ""] if table.note else []
    return "\n".join([*note, *(f"| {' | '.join(line)} |" for line in lines)])


def markdown_report(facts: ReportFacts, drawings: FigureWords, files: Mapping[str, str]) -> str:
    """The report.

    Args:
        facts: what it says.
        drawings: titles and captions of its figures.
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

    made = environment(html=False)
    made.filters |= {"text": markdown_escape, "table": markdown_table}
    return made
