"""Writes the report of a study: HTML, Markdown, tables, figures and the best configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna

from tune.perturbed.study_tables import perturbations_csv
from tune.report.best import best_yaml
from tune.report.comparison.export import variants_csv
from tune.report.drawn import study_drawings
from tune.report.facts import ReportFacts, report_facts
from tune.report.figures import Drawings
from tune.report.html import html_report
from tune.report.latex import latex_table
from tune.report.markdown import markdown_report
from tune.report.parts import ReportFiles
from tune.report.ranking import best_trial
from tune.report.saved import SavedFigures, save_figures, save_text
from tune.report.table import trials_frame
from tune.report.tables import Table
from tune.study.folder import StudyFolder


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of a report, drawn and saved."""

    drawings: Drawings
    saved: SavedFigures


def draw_figures(folder: StudyFolder, study: optuna.Study, out: Path | None = None, *, beside: bool = False) -> Figures:
    """Draw and save a report's figures; ``write_report`` does it where they are not there."""
    drawings = study_drawings(folder, study)
    saved = save_figures(drawings.drawn, _place(folder, out) / "figures", beside=beside)
    return Figures(drawings=drawings, saved=saved)


def write_report(
    folder: StudyFolder,
    study: optuna.Study,
    out: Path | None = None,
    *,
    figures: Figures | None = None,
    beside: bool = False,
) -> ReportFiles:
    """Write the report, over an earlier one.

    Args:
        folder: the study.
        study: what Optuna knows of it, for the figures.
        out: folder for the files; ``report`` in the study's folder where None.
        figures: what ``draw_figures`` has drawn for the same folder.
        beside: as ``save_figures`` takes it.

    Raises:
        OSError: the files cannot be written.
    """
    out = _place(folder, out)
    yaml = "" if best_trial(folder) is None else best_yaml(folder)
    facts = report_facts(folder, str(out / "best.yaml"))
    made = figures or draw_figures(folder, study, out, beside=beside)
    drawings, saved = made.drawings, made.saved
    links = {name: f"figures/{path.name}" for name, path in saved.vector.items()}
    if not yaml:
        # An earlier report may have had one.
        (out / "best.yaml").unlink(missing_ok=True)
    return ReportFiles(
        folder=out,
        html=save_text(out / "report.html", html_report(facts, drawings, saved.svgs, yaml)),
        markdown=save_text(out / "report.md", markdown_report(facts, drawings, links)),
        config=save_text(out / "best.yaml", yaml) if yaml else None,
        tables=dict(_write_tables(folder, facts, out)),
        figures=saved.vector,
        pictures=saved.pixels,
        missing=dict(drawings.missing),
    )


def _place(folder: StudyFolder, out: Path | None) -> Path:
    return folder.path / "report" if out is None else Path(out)


def _write_tables(folder: StudyFolder, facts: ReportFacts, out: Path) -> Iterator[tuple[str, Path]]:
    yield "trials.csv", save_text(out / "trials.csv", trials_frame(folder).to_csv(index=False))
    if facts.tables:
        yield "variants.csv", save_text(out / "variants.csv", variants_csv(folder))
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
