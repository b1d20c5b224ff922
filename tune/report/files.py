"""Writes the report of a study: HTML, Markdown, tables, figures and the best configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import optuna

from tune.report.best import best_yaml
from tune.report.facts import ReportFacts, report_facts
from tune.report.figures import Drawings, draw_study
from tune.report.html import figure_svg, html_report
from tune.report.latex import latex_table
from tune.report.markdown import markdown_report
from tune.report.ranking import best_trial
from tune.report.table import trials_frame
from tune.report.tables import Table
from tune.report.variants import variants_csv
from tune.study.folder import StudyFolder


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where the parts of a report lie.

    Attributes:
        folder: of all of them.
        html: the whole report in one file.
        markdown: the same, with the figures beside it.
        config: the best configuration for ``dclf train``; None while no trial is complete.
        tables: name -> CSV or LaTeX file.
        figures: name -> SVG file.
        missing: name of a figure -> why it is not there.
    """

    folder: Path
    html: Path
    markdown: Path
    config: Path | None
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)
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
    (out / "figures").mkdir(parents=True, exist_ok=True)
    yaml = "" if best_trial(folder) is None else best_yaml(folder)
    facts = report_facts(folder, str(out / "best.yaml"))
    drawings = draw_study(study, list(folder.definition.sweep.objectives), optuna_numbers(folder))
    svgs = {name: figure_svg(drawing.figure, name) for name, drawing in drawings.drawn.items()}
    figures = {name: _write(out / "figures" / f"{name}.svg", svg) for name, svg in svgs.items()}
    links = {name: f"figures/{name}.svg" for name in figures}
    _remove_stale(out, drawings, keep_config=bool(yaml))
    return ReportFiles(
        folder=out,
        html=_write(out / "report.html", html_report(facts, drawings, svgs, yaml)),
        markdown=_write(out / "report.md", markdown_report(facts, drawings, links)),
        config=_write(out / "best.yaml", yaml) if yaml else None,
        tables=dict(_write_tables(folder, facts, out)),
        figures=figures,
        missing=dict(drawings.missing),
    )


def optuna_numbers(folder: StudyFolder) -> list[int]:
    """Optuna's numbers of the study's own trials, in the order of the ledger."""
    return [trial.optuna for trial in folder.ledger.trials.values() if trial.optuna >= 0]


def _write_tables(folder: StudyFolder, facts: ReportFacts, out: Path) -> Iterator[tuple[str, Path]]:
    yield "trials.csv", _write(out / "trials.csv", trials_frame(folder).to_csv(index=False))
    if facts.variants is not None:
        yield "variants.csv", _write(out / "variants.csv", variants_csv(folder))
    tables: dict[str, Table | None] = {
        "variants": facts.variants,
        "shifts": facts.shifts,
        "top": facts.top,
        "comparison": facts.comparison,
        "front": facts.front,
    }
    for name, table in tables.items():
        if table is not None and table.rows:
            label = f"tab:{folder.definition.name}-{name}"
            yield f"{name}.tex", _write(out / f"{name}.tex", latex_table(table, label))


def _remove_stale(out: Path, drawings: Drawings, *, keep_config: bool) -> None:
    """Take away what an earlier report had and this one has not."""
    for path in (out / "figures").glob("*.svg"):
        if path.stem not in drawings.drawn:
            path.unlink()
    if not keep_config:
        (out / "best.yaml").unlink(missing_ok=True)


def _write(path: Path, text: str) -> Path:
    """Write whole files only: a report may be renewed while somebody reads it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
    return path
