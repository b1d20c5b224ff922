"""The page of a perturbation test: a run's is that of a study with one training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.actors import ActorSettings
from tune.analysis.comparison.number_text import seeds_text
from tune.analysis.perturbation.files import PAGE
from tune.analysis.perturbation.record import Recorder
from tune.analysis.perturbation.scores import Perturbations
from tune.analysis.perturbation.settings import PerturbationSettings
from tune.analysis.perturbation.tables import KINDS, PerturbedVariant
from tune.analysis.perturbation.target import Target
from tune.analysis.statistics import FEWEST
from tune.analysis.table import Table
from tune.config.local_files import save_text
from tune.report.drawing import Drawing
from tune.report.figure_files import remove_other_figures, save_figures
from tune.report.html import html_page
from tune.report.perturbation_figures import perturbation_figures
from tune.study.dataset import DatasetNote, shards_note
from tune.study.events import Listener
from tune.study.scores import WF1
from tune.tracking.redact import without_secrets


@dataclass(frozen=True, kw_only=True)
class PageFacts:
    """What the page says, in plain text that is not escaped yet.

    Attributes:
        title: what was tested on which data.
        data: which data it was tested on.
        standing: how many trainings are scored.
        result: what is lost, a sentence each.
        warnings: what a reader must know before quoting a number.
        tables: as they are printed.
        drawings: name -> figure.
        method: how it was tested.
    """

    title: str
    data: DatasetNote
    standing: str
    result: tuple[str, ...]
    warnings: tuple[str, ...]
    tables: tuple[Table, ...]
    drawings: dict[str, Drawing]
    method: Table


def run_with_page(
    target: Target,
    settings: PerturbationSettings,
    listeners: Sequence[Listener] = (),
    actors: ActorSettings | None = None,
) -> Perturbations:
    """``run_test``, and the page of what it came to."""
    # Imported here: it brings torch, which a page does without.
    from tune.analysis.perturbation.test import run_test  # noqa: PLC0415

    scores = run_test(target, settings, listeners, actors)
    write_test_page(target, scores)
    return scores


def write_test_page(target: Target, scores: Perturbations) -> list[Path]:
    """Write the page and its figures beside the test's tables, and add them to the target's run in MLflow.

    Args:
        target: the run or study that was tested.
        scores: what it came to.

    Raises:
        TrackingError: the store does not answer or does not take them.
        OSError: they cannot be written.
    """
    facts = page_facts(target, scores)
    saved = save_figures(facts.drawings, scores.folder)
    remove_other_figures(scores.folder, facts.drawings)
    page = save_text(scores.folder / PAGE, html_page("perturbation.html.j2", saved.svgs, facts=facts))
    files = [page, *saved.vector.values(), *saved.pixels.values()]
    target.share()
    Recorder(target.store, scores.split).send(target.run_id, files, {})
    return files


def page_facts(target: Target, scores: Perturbations) -> PageFacts:
    """Gather what the page says."""
    rows, data = target.rows(scores), shards_note(str(target.shards.path))
    scored, every = len(scores.trainings), len(scores.trainings) + len(scores.missing)
    return PageFacts(
        title=f"Perturbation test of {scores.kind} {scores.name} on {data.name}, {scores.split} split",
        data=data,
        standing=f"Scored: {scored} of {every} trained models." if every > 1 else "",
        # Of several models the tables have it, and the sentences what DCLF does to it.
        result=(*(_losses(*rows) if len(rows) == 1 else ()), *target.sentences(scores.split)),
        warnings=tuple(_warnings(scores, rows, data)),
        tables=tuple(target.tables(scores)),
        drawings=perturbation_figures(rows),
        method=_method(target, scores),
    )


def _losses(row: PerturbedVariant) -> Iterator[str]:
    """What a variant keeps under each kind of substitution, and where damage costs it most."""
    who, raw = f"{row.variant.model}, {row.variant.name}", _mean(row, "raw")
    kinds = [f"{_mean(row, kind)} % {_where(kind)}" for kind in KINDS if row.values(kind, by_draw=False)]
    yield f"{who}: WF1 {', '.join([f'{raw} % on the raw split', *kinds])}."
    damaged = dict.fromkeys(
        name for one in row.trainings.values() for name, score in one.conditions.items() if score.share is not None
    )
    if damaged:
        yield f"{who}: {_worst(row, max(damaged, key=row.drop))}."


def _worst(row: PerturbedVariant, name: str) -> str:
    """The damage that costs most, if any costs something."""
    if row.drop(name) <= 0:
        return "no damaged modality costs anything"
    modality, kind, share = name.rsplit("-", 2)
    return f"of the damaged modalities {modality}, {kind}, at {share} % costs most: {_mean(row, name)} %"


def _where(kind: str) -> str:
    return "up to the target" if kind == "cut" else f"under {KINDS[kind]}"


def _mean(row: PerturbedVariant, name: str) -> str:
    values = row.values(name, by_draw=False)
    return WF1.number(sum(values) / len(values))


def _warnings(scores: Perturbations, rows: Sequence[PerturbedVariant], data: DatasetNote) -> Iterator[str]:
    if data.warning:
        yield data.warning
    if scores.missing:
        yield f"Complete trainings of the study that this test has not scored yet: {len(scores.missing)}."
    seeds = min((len(row.trainings) for row in rows), default=FEWEST)
    if seeds < FEWEST:
        yield (
            f"{seeds_text(seeds).capitalize()} per model: a deviation over draws says nothing of training seeds, and a "
            f"claim on a method takes {seeds_text(FEWEST)} or more with and without it."
        )


def _method(target: Target, scores: Perturbations) -> Table:
    first = scores.trainings[0]
    rows = [
        ("models", str(len(scores.trainings))),
        ("split", f"{first.split}, {first.utterances:,} utterances"),
        ("conditions", ", ".join(scores.conditions)),
        ("draws of each substitution", str(scores.draws)),
        ("seed of the test", str(first.seed)),
        ("shards", without_secrets(str(target.shards.path))),
        ("data hash", first.shards_sha256),
        ("results", str(scores.folder)),
        ("substitutions", str(target.suite.substitutions)),
    ]
    return Table(title="How it was tested", head=("what", "value"), rows=tuple(rows))
