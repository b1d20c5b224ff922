"""The report as Markdown, with its figures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tune.report.facts import ReportFacts
from tune.report.figures import Drawings
from tune.report.tables import Table
from tune.report.templates import environment

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$])")


def markdown_escape(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def markdown_table(table: Table) -> str:
    """A table with its numbers to the right."""
    rule = ["---" if place < table.numeric else "---:" for place in range(len(table.head))]
    rows = [[markdown_escape(cell) for cell in row] for row in (table.head, *table.rows)]
    lines = [rows[0], rule, *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_report(facts: ReportFacts, drawings: Drawings, files: Mapping[str, str]) -> str:
    """The report.

    Args:
        facts: what it says.
        drawings: its figures.
        files: name of a figure -> its path from the report.
    """
    template = environment(html=False)
    template.filters |= {"text": markdown_escape, "table": markdown_table}
    return template.get_template("report.md.j2").render(facts=facts, drawings=drawings, files=files)
