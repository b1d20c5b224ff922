"""Writes the report of a study: HTML, Markdown, tables, figures and the best configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import optuna

from tune.analysis.comparison.leaderboard import board_csv
from tune.analysis.comparison.variants import is_comparison
from tune.analysis.perturbation.study_tables import perturbations_csv
from tune.analysis.table import Table, latex_table
from tune.config.local_files import save_text
from tune.report.comparison.export import variants_csv
from tune.report.drawings import study_drawings
from tune.report.facts import ReportFacts, report_facts
from tune.report.figure_files import remove_other_figures, save_figures
from tune.report.html import html_page
from tune.report.markdown import markdown_report
from tune.report.table_files import remove_other_tables
from tune.study.best import best_yaml
from tune.study.folder import StudyFolder
from tune.study.ranking import best_trial
from tune.study.trial_table import trials_frame


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where the parts of a report lie.

    Attributes:
        folder: of all of them.
        html: the whole report in one file.
        markdown: the same, with the figures beside it.
        config: the best configuration for ``dclf train``; None while no trial is complete, and of a comparison.
        tables: name -> CSV or LaTeX file.
        figures: name -> SVG file.
        pictures: name -> the same figure as PNG file.
        missing: name of a figure -> why it is not there.
    """

    folder: Path
    html: Path
    markdown: Path
    config: Path | None
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def write_report(folder: StudyFolder, study: optuna.Study, out: Path | None = None) -> ReportFiles:
    """Write the report, over an earlier one.

    Args:
        folder: the study.
        study: what Optuna knows of it, for the figures.
        out: folder for the files; ``report`` in the study's folder where None.

    Raises:
        OSError: the files cannot be written.
    """
    out = folder.path / "report" if out is None else Path(out)
    has_best = best_trial(folder) is not None and not is_comparison(folder.definition)
    yaml = best_yaml(folder) if has_best else ""
    facts = report_facts(folder, str(out / "best.yaml"))
    drawings = study_drawings(folder, study)
    figures = save_figures(drawings.figures, out / "figures")
    remove_other_figures(out / "figures", drawings.figures)
    links = {name: f"figures/{path.name}" for name, path in figures.vector.items()}
    if not yaml:
        # An earlier report may have had one.
        (out / "best.yaml").unlink(missing_ok=True)
    tables = dict(_write_tables(folder, facts, out))
    remove_other_tables(out, tables)
    return ReportFiles(
        folder=out,
        html=save_text(
            out / "report.html", html_page("report.html.j2", figures.svgs, facts=facts, drawings=drawings, yaml=yaml)
        ),
        markdown=save_text(out / "report.md", markdown_report(facts, drawings, links)),
        config=save_text(out / "best.yaml", yaml) if yaml else None,
        tables=tables,
        figures=figures.vector,
        pictures=figures.pixels,
        missing=dict(drawings.missing),
    )


def _write_tables(folder: StudyFolder, facts: ReportFacts, out: Path) -> Iterator[tuple[str, Path]]:
    yield "trials.csv", save_text(out / "trials.csv", trials_frame(folder).to_csv(index=False))
    if facts.tables:
        yield "variants.csv", save_text(out / "variants.csv", variants_csv(folder))
    if facts.board is not None:
        yield "leaderboard.csv", save_text(out / "leaderboard.csv", board_csv(folder))
    if "perturbation" in facts.tables or "damage" in facts.tables:
        yield "perturbation.csv", save_text(out / "perturbation.csv", perturbations_csv(folder))
    tables: dict[str, Table | None] = {
        **facts.tables,
        "top": facts.top,
        "comparison": facts.comparison,
        "front": facts.front,
    }
    for name, table in tables.items():
        if table is not None and table.rows:
            label = f"tab:{folder.definition.name}-{name}"
            yield f"{name}.tex", save_text(out / f"{name}.tex", latex_table(table, label))
