"""The tables of a perturbation test, laid out as the paper's Tables 1 and 6: WF1 in percent, the drop in brackets."""

from __future__ import annotations

from collections.abc import Iterator

from tune.analysis.comparison.words import drop_text
from tune.analysis.perturbation.report import PerturbationReport
from tune.analysis.perturbation.scores import ConditionScore
from tune.analysis.table import Table
from tune.study.scores import WF1

LABELS = {"cut": "up to the target", "eccs": "ECCS", "eics": "EICS"}


def tables(report: PerturbationReport) -> Iterator[Table]:
    """The substitutions, and the damaged modalities, as far as they were tested."""
    substituted = [score for score in report.scores if score.share is None]
    damaged = [score for score in report.scores if score.share is not None]
    if substituted:
        yield _substitutions(report, substituted)
    if damaged:
        yield _damage(report, damaged)


def _substitutions(report: PerturbationReport, scores: list[ConditionScore]) -> Table:
    """Table 6: a row for the model, and one for what the paper has."""
    rows = [(report.model, WF1.number(report.raw), *(_cell(score) for score in scores))]
    if report.published:
        rows.append((f"published, {report.published['dataset']}", *_published(report, scores)))
    draws = max(len(score.values) for score in scores)
    return Table(
        title=f"{_title(report)}, substituted contexts, {draws} draw{'s' if draws > 1 else ''} with seed {report.seed}",
        head=("model", "raw", *(LABELS[score.kind] for score in scores)),
        rows=tuple(rows),
    )


def _published(report: PerturbationReport, scores: list[ConditionScore]) -> Iterator[str]:
    raw = float(report.published["raw"])
    yield f"{raw:.2f}"
    for score in scores:
        value = report.published.get(score.kind)
        yield "–" if value is None else f"{float(value):.2f} {drop_text((raw - float(value)) / 100)}"


def _damage(report: PerturbationReport, scores: list[ConditionScore]) -> Table:
    """A row per share of the utterances, a column per modality and kind of damage."""
    columns = list(dict.fromkeys((score.modality, score.kind) for score in scores))
    found = {(score.modality, score.kind, score.share): _cell(score) for score in scores}
    shares = sorted({score.share for score in scores if score.share is not None})
    rows = [(f"{100 * share:g} %", *(found.get((*column, share), "–") for column in columns)) for share in shares]
    return Table(
        title=f"{_title(report)}, damaged modalities, masks of seed {report.seed}; raw {WF1.number(report.raw)}",
        head=("utterances hit", *(f"{modality}, {kind}" for modality, kind in columns)),
        rows=tuple(rows),
    )


def _title(report: PerturbationReport) -> str:
    return f"WF1 in percent on the {report.split} split of {report.dataset} ({report.utterances} utterances)"


def _cell(score: ConditionScore) -> str:
    """``63.70 ± 0.42 (↓3.70)``."""
    return f"{WF1.mean_text(score.values)} {drop_text(score.drop)}"
