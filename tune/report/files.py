"""Writes the report of a study: HTML, Markdown, tables, figures and the best configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import optuna

from tune.perturbed.study_tables import perturbations_csv
from tune.report.beside import in_halves
from tune.report.best import best_yaml
from tune.report.comparison.export import variants_csv
from tune.report.comparison.variants import is_comparison
from tune.report.drawn import study_drawings
from tune.report.facts import ReportFacts, report_facts
from tune.report.figures import ORDER, FigureWords
from tune.report.html import html_report
from tune.report.latex import latex_table
from tune.report.markdown import markdown_report, markdown_templates
from tune.report.parts import ReportFiles
from tune.report.ranking import best_trial
from tune.report.saved import SavedFigures, remove_other_figures, save_figures, save_text
from tune.report.table import trials_frame
from tune.report.tables import Table
from tune.report.templates import environment
from tune.study.folder import StudyFolder

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Figures(FigureWords):
    """The figures of a report, drawn and saved.

    Attributes:
        saved: where they lie.
    """

    saved: SavedFigures


def load_templates() -> None:
    """Compile the templates of a report; the first report does it where nobody has."""
    for name in ("page.html.j2", "parts.html.j2", "report.html.j2"):
        environment(html=True).get_template(name)
    markdown_templates().get_template("report.md.j2")


def draw_figures(folder: StudyFolder, study: optuna.Study, out: Path | None = None, *, beside: bool = False) -> Figures:
    """Draw and save a report's figures; ``write_report`` does it where they are not there.

    Args:
        folder: the study.
        study: what Optuna knows of it.
        out: as ``write_report`` takes it.
        beside: have a copy of this process draw half of them, see ``in_halves``.

    Raises:
        OSError: the files cannot be written.
    """
    place = _place(folder, out) / "figures"

    def draw(half: int | None) -> Figures:
        drawings = study_drawings(folder, study, half)
        words = {name: drawing.words for name, drawing in drawings.drawn.items()}
        return Figures(drawn=words, missing=drawings.missing, saved=save_figures(drawings.drawn, place))

    made = _joined(*in_halves(draw)) if beside else draw(None)
    remove_other_figures(place, made.drawn)
    return made


def _joined(first: Figures, second: Figures) -> Figures:
    return Figures(
        drawn=_in_order(first.drawn, second.drawn),
        missing=_in_order(first.missing, second.missing),
        saved=SavedFigures(
            svgs=_in_order(first.saved.svgs, second.saved.svgs),
            vector=_in_order(first.saved.vector, second.saved.vector),
            pixels=_in_order(first.saved.pixels, second.saved.pixels),
        ),
    )


def _in_order(first: Mapping[str, Value], second: Mapping[str, Value]) -> dict[str, Value]:
    """Both, as a report shows them: a comparison's own figures first."""
    both = {**first, **second}
    return {name: both[name] for name in sorted(both, key=lambda name: ORDER.index(name) if name in ORDER else -1)}


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
        beside: as ``draw_figures`` takes it.

    Raises:
        OSError: the files cannot be written.
    """
    out = _place(folder, out)
    chosen = best_trial(folder) is not None and not is_comparison(folder.definition)
    yaml = best_yaml(folder) if chosen else ""
    facts = report_facts(folder, str(out / "best.yaml"))
    made = figures or draw_figures(folder, study, out, beside=beside)
    links = {name: f"figures/{path.name}" for name, path in made.saved.vector.items()}
    if not yaml:
        # An earlier report may have had one.
        (out / "best.yaml").unlink(missing_ok=True)
    return ReportFiles(
        folder=out,
        html=save_text(out / "report.html", html_report(facts, made, made.saved.svgs, yaml)),
        markdown=save_text(out / "report.md", markdown_report(facts, made, links)),
        config=save_text(out / "best.yaml", yaml) if yaml else None,
        tables=dict(_write_tables(folder, facts, out)),
        figures=made.saved.vector,
        pictures=made.saved.pixels,
        missing=dict(made.missing),
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
