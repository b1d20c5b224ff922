r"""A table of text, and its forms: for terminals, notebooks and papers.

The LaTeX one needs ``\usepackage{booktabs}``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from html import escape

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
MOST_ROWS = 20
"""Rows of a table that stands for a result."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Table:
    """A table of text; a prompt and a notebook show the first rows of it.

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

    def __repr__(self) -> str:
        return text_table(first_rows(self))

    def _repr_html_(self) -> str:
        return html_table(first_rows(self))


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


def aligned(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """One line per row, the columns in line.

    Args:
        rows: cells, all rows equally long.
        right: places of the columns whose cells stand to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_cells(row, widths, right)).rstrip() for row in rows]


def _cells(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> list[str]:
    return [
        cell.rjust(width) if place in right else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def text_table(table: Table) -> str:
    """A table for a terminal: title, columns in line, note."""
    numbers = range(table.numeric, len(table.head))
    return "\n".join([table.title, *aligned([table.head, *table.rows], right=numbers), *_lines(table.note)])


def html_table(table: Table) -> str:
    """A table as a notebook shows it, with its title as caption."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    note = "".join(f"<p>{escape(line)}</p>" for line in _lines(table.note))
    caption = f"<caption>{escape(table.title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}"


def _lines(note: str) -> list[str]:
    return note.splitlines()


def first_rows(table: Table, rows: int = MOST_ROWS) -> Table:
    """The first rows of a table, and in its note how many more there are."""
    more = len(table.rows) - rows
    if more <= 0:
        return table
    note = "\n".join(line for line in (f"... {more} more", table.note) if line)
    return replace(table, rows=table.rows[:rows], note=note)


class ShownAsTable:
    """A result that a prompt and a notebook show as a small table: the first rows of its ``summary``."""

    def summary(self) -> Table:
        """The table."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return repr(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


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
