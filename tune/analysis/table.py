r"""A table of text, and its forms for papers: Markdown, and LaTeX that needs ``\usepackage{booktabs}``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_IN_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~$])")
_IN_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
WIDE = 8
"""A table with more columns takes the width of the page."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        title: what it shows, also its caption.
        head: the columns.
        rows: their cells.
        numeric: columns from this one on hold numbers.
        note: what its numbers rest on, one sentence or more; belongs to the caption.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: int = 1
    note: str = ""


def markdown_escape(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    return _IN_MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def markdown_table(table: Table) -> str:
    """A table with its numbers to the right, under its note."""
    rule = ["---" if place < table.numeric else "---:" for place in range(len(table.head))]
    rows = [[markdown_escape(cell) for cell in row] for row in (table.head, *table.rows)]
    lines = [rows[0], rule, *rows[1:]]
    note = [markdown_escape(table.note), ""] if table.note else []
    return "\n".join([*note, *(f"| {' | '.join(line)} |" for line in lines)])


def latex_escape(text: str) -> str:
    """Text as LaTeX prints it; the signs of our own tables become LaTeX's."""
    return " ".join("".join(_IN_LATEX.get(character, character) for character in text).split())


def latex_table(table: Table, label: str) -> str:
    """A ``table`` float; a wide one in small type over both columns.

    Args:
        table: what it shows; its title and note are the caption.
        label: for references; what cannot stand in one becomes a dash.
    """
    # Imported here, as the report alone needs it.
    import pandas as pd  # noqa: PLC0415

    rows = [[latex_escape(cell) for cell in row] for row in table.rows]
    frame = pd.DataFrame(rows, columns=[latex_escape(name) for name in table.head])
    columns = "".join("l" if place < table.numeric else "r" for place in range(len(table.head)))
    text: str = frame.to_latex(
        index=False,
        escape=False,
        column_format=columns,
        caption=" ".join([f"{latex_escape(table.title)}.", *([latex_escape(table.note)] if table.note else [])]),
        label=re.sub(r"[^A-Za-z0-9:.-]+", "-", label),
        position="htbp",
    )
    if len(table.head) <= WIDE:
        return text.replace("\\begin{tabular}", "\\centering\n\\begin{tabular}", 1)
    spread = "\\centering\n\\footnotesize\n\\setlength{\\tabcolsep}{3pt}\n\\begin{tabular}"
    return text.replace("{table}", "{table*}").replace("\\begin{tabular}", spread, 1)
