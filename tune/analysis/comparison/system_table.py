"""The systems that the paper's Table 3 compares DCLF with: its numbers, what they measure here, or why they cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dclf.config import Config
from dclf.prose import join_words, quantity
from tune.analysis.comparison.tables import mean_text
from tune.analysis.comparison.variants import Variant, variants_of
from tune.analysis.table import Table
from tune.config.compared_systems import ComparedSystem, compared_systems
from tune.study.folder import StudyFolder

SCORES, MEASURED = ("wa", "wf1"), ("WA", "WF1", "WA with DCLF", "WF1 with DCLF")
_NOTE = "Measured: each system's base model here from its own preset, without DCLF and with it."
_REAL_TIME = "{whose} real-time here, where the published systems hear whole conversations."
_CURRICULUM = "MultiDAG's published scores are with its curriculum, which is left off here."
_MULTIDAG = "dag_erc"


def compared_table(dataset: str, folder: StudyFolder | None, other: str = "") -> Table:
    """A row for each system.

    Args:
        dataset: ``iemocap`` or ``meld``.
        folder: the study of those that are base models here; None where it was not run.
        other: behind the paper's numbers where they are of other data than what is measured.
    """
    measured = {} if folder is None else {(one.model, one.part): one for one in variants_of(folder)}
    head = ("system", "source", "here", *(f"paper {score.upper()}{other}" for score in SCORES))
    return Table(
        title=f"Table 3: the systems that the paper compares with on {dataset.upper()}, in percent",
        head=(*head, *(MEASURED if measured else ())),
        rows=tuple(_row(system, dataset, measured, planned=folder is not None) for system in compared_systems()),
        numeric=3,
        note="" if folder is None or not measured else " ".join(_notes(folder.definition.base, measured)),
    )


def _notes(base: Config, measured: Mapping[tuple[str, str], Variant]) -> Iterator[str]:
    """How the measured systems differ from the published ones."""
    yield _NOTE
    models = dict.fromkeys(model for model, _ in measured)
    hasty = [
        model
        for model in models
        if all(one.params.get("model.causal", base.model.causal) for one in measured.values() if one.model == model)
    ]
    if hasty:
        all_of_them = len(hasty) == len(models)
        yield _REAL_TIME.format(whose="All are" if all_of_them else f"{join_words(hasty)} {_are(len(hasty))}")
    curricula = [
        one.params.get("train.curriculum", base.train.curriculum) for one in measured.values() if one.model == _MULTIDAG
    ]
    if curricula and not any(curricula):
        yield _CURRICULUM


def _are(count: int) -> str:
    return "are" if count > 1 else "is"


def _row(
    system: ComparedSystem, dataset: str, measured: Mapping[tuple[str, str], Variant], *, planned: bool
) -> tuple[str, ...]:
    published = system.published(dataset)
    base, whole = (measured.get((system.model, part)) for part in ("base", "none"))
    papers = (f"{published[score]:.2f}" if score in published else "–" for score in SCORES)
    own = [(variant, score) for variant in (base, whole) for score in SCORES] if measured else []
    numbers = ("–" if variant is None else mean_text(variant, score) for variant, score in own)
    return (system.name, system.source, _how(system, base, planned=planned), *papers, *numbers)


def _how(system: ComparedSystem, base: Variant | None, *, planned: bool) -> str:
    """What stands behind the measured numbers, or why there are none."""
    if base is not None:
        return f"measured as {system.model}, {quantity(len(base.test), 'seed')}"
    if system.why:
        return f"not measured: {system.why}"
    # Its training has failed or is still to come; that with DCLF may be there.
    return "base model not scored" if planned else f"not run (--compared trains {system.model})"
