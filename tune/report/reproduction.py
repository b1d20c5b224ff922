"""One page of several studies, the paper's tables and figures measured beside the published numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tune.analysis.table import ShownAsTable, Table, latex_table
from tune.config.local_files import save_text
from tune.report.comparison.export import variants_csv
from tune.report.figure_files import remove_other_figures, save_figures
from tune.report.html import html_page
from tune.report.markdown import rendered
from tune.report.reproduction_page import Reproduction, reproduction_facts
from tune.report.table_files import remove_other_paper_tables
from tune.study.folder import StudyFolder


@dataclass(frozen=True, kw_only=True, repr=False)
class ReproductionFiles(ShownAsTable):
    """Where the parts of the page lie.

    Attributes:
        folder: of all of them.
        html: the whole page in one file.
        markdown: the same, with the figures beside it.
        tables: name -> CSV or LaTeX file.
        figures: name -> SVG file.
        pictures: name -> the same figure as PNG file.
        sentences: which data the page is about, and what of the paper is confirmed there.
        missing: table or figure of the paper -> why it is not on the page.
    """

    folder: Path
    html: Path
    markdown: Path
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)

    def summary(self) -> Table:
        """The page, and what of the paper is on it or why not; what is confirmed stands below."""
        measured = [(name, str(path)) for name, path in self.tables.items() if path.suffix == ".csv"]
        rows = (("page", str(self.html)), *measured, *self.missing.items())
        note = "\n".join(self.sentences)
        return Table(title=f"reproduction in {self.folder}", head=("what", "where"), rows=rows, numeric=2, note=note)


def write_reproduction(
    folders: Sequence[StudyFolder],
    missing: Mapping[str, str],
    out: Path | str,
    title: str,
    notes: Sequence[str] = (),
    further: Mapping[str, Table] | None = None,
) -> ReproductionFiles:
    """Write the page, over an earlier one.

    Args:
        folders: the studies in the order of the page; their definition's ``plan`` says how each is laid out.
        missing: table or figure of the paper -> why there is no study for it.
        out: folder for the files.
        title: of the page; the data that the studies ran on are added to it.
        notes: what is not as in the paper, one sentence each.
        further: name of a file -> table that belongs to no single study.

    Raises:
        OSError: the files cannot be written.
    """
    out = Path(out)
    facts = reproduction_facts(folders, title, missing, notes, further or {})
    parts = [part for section in facts.sections for part in section.parts]
    saved = save_figures({name: one for part in parts for name, one in part.drawings.items()}, out / "figures")
    remove_other_figures(out / "figures", saved.vector)
    tables = {file.name: file for file in _tables(folders, facts, out)}
    remove_other_paper_tables(out, tables)
    links = {name: f"figures/{path.name}" for name, path in saved.vector.items()}
    return ReproductionFiles(
        folder=out,
        html=save_text(out / "reproduction.html", html_page("reproduction.html.j2", saved.svgs, facts=facts)),
        markdown=save_text(out / "reproduction.md", rendered("reproduction.md.j2", facts=facts, files=links)),
        tables=tables,
        figures=saved.vector,
        pictures=saved.pixels,
        sentences=(*facts.data, *facts.warnings, *facts.findings),
        missing=dict(missing),
    )


def _tables(folders: Sequence[StudyFolder], facts: Reproduction, out: Path) -> Iterator[Path]:
    for folder, section in zip(folders, facts.sections, strict=True):
        yield save_text(out / f"{section.slug}-scores.csv", variants_csv(folder))
    parts = [part.tables for section in facts.sections for part in section.parts]
    for name, table in (item for tables in (*parts, facts.further) for item in tables.items()):
        yield save_text(out / f"{name}.csv", table_csv(table))
        yield save_text(out / f"{name}.tex", latex_table(table, f"tab:{name}"))


def table_csv(table: Table) -> str:
    """A table as it is printed, rounded; ``SLUG-scores.csv`` has all digits of every seed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.head, *table.rows])
    return text.getvalue()
