"""The perturbation tests of a study's variants over seeds, as the paper's Tables 1 and 6 have them.

A seed's score is the mean over its draws; mean and deviation are over seeds. Reads what the study's folder keeps, and
computes nothing.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tune.analysis.comparison.claims import caveats, other_data
from tune.analysis.comparison.compared import Compared, base_models, compared
from tune.analysis.comparison.tables import difference_cells, differences_note
from tune.analysis.comparison.variants import Variant, variants_of
from tune.analysis.comparison.words import drop_text, interval, points, probability, seeds_text, why_untested
from tune.analysis.perturbation.kept import StudyPerturbations, TrainingScores, load_study_perturbations
from tune.analysis.perturbation.published import published_row
from tune.analysis.statistics import relative_change
from tune.analysis.table import Table
from tune.study.dataset import dataset_note
from tune.study.folder import StudyFolder
from tune.study.scores import WF1

KINDS = {"cut": "up to the target", "eccs": "ECCS", "eics": "EICS"}
BOTH = ("raw", "eccs", "eics")
_GENERATED = "The data are generated: that drops are like the paper's says nothing of the paper's data."
MATTERS = "eics"
"""The condition whose drop DCLF is to make smaller."""


@dataclass(frozen=True, kw_only=True)
class PerturbedVariant:
    """A variant of a study and what its trainings came to.

    Attributes:
        variant: the variant.
        trainings: seed -> scores.
        paper: ``raw``, ``eccs`` and ``eics`` -> the paper's WF1 in [0, 1]; empty where it has no such row.
        against: its EICS drop against that of the base model over shared seeds; None where there is no test.
    """

    variant: Variant
    trainings: Mapping[int, TrainingScores]
    paper: Mapping[str, float]
    against: Compared | None

    def over_seeds(self, name: str) -> list[float]:
        """WF1 of a condition by seed, as far as it was tested."""
        known = (training for training in self.trainings.values() if name == "raw" or name in training.conditions)
        return [training.wf1(name) for training in known]

    def drop(self, name: str) -> float:
        """Mean of a condition's drop over seeds; NaN where it was not tested."""
        found = [training.drop(name) for training in self.trainings.values() if name in training.conditions]
        return fmean(found) if found else math.nan

    def paper_drop(self, name: str) -> float:
        """The paper's drop; NaN where it has none."""
        return self.paper.get("raw", math.nan) - self.paper.get(name, math.nan)


def perturbed_variants(folder: StudyFolder, split: str = "test") -> list[PerturbedVariant]:
    """The variants that a perturbation test has scored, in the order of the study's other tables."""
    found = load_study_perturbations(folder, split)
    if found is None:
        return []
    trainings = {variant.trial: found.of(variant.trial) for variant in variants_of(folder)}
    variants = [variant for variant in variants_of(folder) if trainings[variant.trial]]
    papers = {variant.trial: _paper(folder, variant) if split == "test" else {} for variant in variants}
    tests = compared(
        variants,
        base_models(variants),
        lambda variant: _drops(trainings[variant.trial]),
        lambda variant: papers[variant.trial].get("raw", math.nan) - papers[variant.trial].get(MATTERS, math.nan),
    )
    return [
        PerturbedVariant(
            variant=variant,
            trainings=trainings[variant.trial],
            paper=papers[variant.trial],
            against=test if test.paired is not None else None,
        )
        for variant, test in zip(variants, tests, strict=True)
    ]


def perturbation_table(folder: StudyFolder, split: str = "test") -> Table | None:
    """Raw, ECCS and EICS with their drops, and the EICS drop against the base model's; None where nothing was tested.

    Arrows mark the drop as the paper does.
    """
    rows, found = perturbed_variants(folder, split), load_study_perturbations(folder, split)
    kinds = [kind for kind in KINDS if any(not math.isnan(row.drop(kind)) for row in rows)]
    if found is None or not kinds:
        return None
    against = [row.against for row in rows if row.against is not None]
    testing = any(one.paired is not None and one.paired.tested for one in against)
    published = any(row.paper for row in rows)
    head = ("model", "variant", "seeds", "raw", *(KINDS[kind] for kind in kinds))
    other = other_data(folder.definition) if published else ""
    head += ("EICS drop vs base", *(("95 % interval", "p") if testing else ())) if against else ()
    head += (f"paper raw{other}", f"paper ECCS{other}", f"paper EICS{other}") if published else ()
    return Table(
        title=f"{_title(found)} and substituted contexts ({_drawn(found)})",
        head=head,
        rows=tuple(_row(row, kinds, len(head), testing=testing, published=published) for row in rows),
        numeric=2,
        note=differences_note(against, "EICS drops") if against else "",
    )


def damage_table(folder: StudyFolder, split: str = "test") -> Table | None:
    """WF1 with missing and noisy modalities, a column per share of the utterances; None where none was tested."""
    rows, found = perturbed_variants(folder, split), load_study_perturbations(folder, split)
    damaged = {
        name: condition
        for row in rows
        for training in row.trainings.values()
        for name, condition in training.conditions.items()
        if condition.share is not None
    }
    if found is None or not damaged:
        return None
    shares = sorted({float(condition.share or 0) for condition in damaged.values()})
    names = {(condition.modality, condition.kind, condition.share): name for name, condition in damaged.items()}
    kinds = dict.fromkeys((condition.modality, condition.kind) for condition in damaged.values())
    return Table(
        title=f"{_title(found)} and damaged modalities, by share of the utterances",
        head=("model", "variant", "damage", "raw", *(f"{100 * share:g} %" for share in shares)),
        rows=tuple(
            (
                row.variant.model,
                row.variant.name,
                f"{modality}, {kind}",
                _mean(row, "raw"),
                *(_mean(row, names.get((modality, kind, share), "")) for share in shares),
            )
            for row in rows
            for modality, kind in kinds
        ),
        numeric=3,
    )


def perturbation_sentences(folder: StudyFolder, split: str = "test") -> list[str]:
    """What DCLF does to every base model's EICS drop, beside the paper's; that other data are not the paper's."""
    rows = perturbed_variants(folder, split)
    bases = {row.variant.model: row for row in rows if row.variant.part == "base"}
    found = [
        _sentence(row, bases[row.variant.model])
        for row in rows
        if row.variant.part == "none" and row.against is not None
    ]
    if any(row.paper for row in rows):
        generated = dataset_note(folder.definition).generated
        found += [_GENERATED] if generated else caveats(folder.definition)
    return found


def perturbations_csv(folder: StudyFolder, split: str = "test") -> str:
    """One line per training and condition, WF1 and drops in [0, 1]; deviations need the draws of ``summary.json``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "model", "variant", "seed", "condition", "draws", "wf1", "drop"])
    for row in perturbed_variants(folder, split):
        for seed, training in sorted(row.trainings.items()):
            own = [row.variant.trial, row.variant.model, row.variant.name, seed]
            writer.writerow([*own, "raw", 1, training.raw, 0.0])
            for name, condition in training.conditions.items():
                writer.writerow([*own, name, len(condition.values), condition.wf1, training.drop(name)])
    return text.getvalue()


def _paper(folder: StudyFolder, variant: Variant) -> dict[str, float]:
    """The paper's row: the study file's, else that of the configuration where nothing but the method is chosen."""
    if all(name in variant.published for name in BOTH):
        return {name: variant.published[name] for name in BOTH}
    if folder.definition.variants or variant.params.keys() - {"model.name", "loss.ablate"}:
        return {}
    base = folder.definition.base
    row = published_row(base.published, variant.model, variant.part, base.data.modalities)
    return {name: value / 100 for name, value in row.items()}


def _drops(trainings: Mapping[int, TrainingScores]) -> dict[int, float]:
    return {seed: found.drop(MATTERS) for seed, found in trainings.items() if MATTERS in found.conditions}


def _row(row: PerturbedVariant, kinds: Sequence[str], width: int, *, testing: bool, published: bool) -> tuple[str, ...]:
    """The cells of one variant, so many of them."""
    cells = [row.variant.model, row.variant.name, str(len(row.trainings)), _mean(row, "raw")]
    cells += [_mean(row, kind) for kind in kinds]
    last = [*_published(row)] if published else []
    if width > len(cells) + len(last):
        cells += difference_cells(row.against or Compared(variant=row.variant), testing=testing, effect=False)
    return (*cells, *last)


def _mean(row: PerturbedVariant, name: str) -> str:
    """``63.70 ± 0.42 (↓3.70)``; a dash where it was not tested."""
    values = row.over_seeds(name)
    if not values:
        return "–"
    return WF1.mean_text(values) + ("" if name == "raw" else f" {drop_text(row.drop(name))}")


def _published(row: PerturbedVariant) -> Iterator[str]:
    if not row.paper:
        yield from ("–", "–", "–")
        return
    yield WF1.number(row.paper["raw"])
    yield from (f"{WF1.number(row.paper[kind])} {drop_text(row.paper_drop(kind))}" for kind in BOTH[1:])


def _sentence(row: PerturbedVariant, base: PerturbedVariant) -> str:
    assert row.against is not None
    assert row.against.paired is not None
    said = f"{row.variant.model}: {_what_happened(row, base)} ({points(row.against.paired.difference)}"
    said += f"; {_certainty(row.against)})"
    if math.isnan(paper := row.paper_drop(MATTERS)) or math.isnan(known := base.paper_drop(MATTERS)):
        return f"{said}."
    whose = "the paper's" if "EICS drop" in said else "the paper's drop"
    return f"{said}; {whose} goes from {_points(known)} to {_points(paper)}."


def _what_happened(row: PerturbedVariant, base: PerturbedVariant) -> str:
    """How the EICS drop differs, over the seeds that both have; in percent where ``relative_change`` has a number."""
    name, drops, bases = row.variant.name, _drops(row.trainings), _drops(base.trainings)
    own, before = (fmean(side[seed] for seed in drops.keys() & bases.keys()) for side in (drops, bases))
    if min(own, before) < 0:
        return f"under EICS WF1 {_moves(own)} points with {name} and {_moves(before)} without"
    if _points(own) == _points(before):
        return f"with {name} the EICS drop stays at {_points(before)} points"
    change = relative_change(drops, bases)
    share = "" if math.isnan(change) else f" by {100 * abs(change):.0f} %"
    verb = "shrinks" if own < before else "grows"
    return f"with {name} the EICS drop {verb}{share}, from {_points(before)} to {_points(own)} points"


def _moves(drop: float) -> str:
    return f"{'rises' if drop < 0 else 'falls'} by {_points(abs(drop))}"


def _points(drop: float) -> str:
    return f"{100 * drop:.2f}"


def _certainty(test: Compared) -> str:
    """Interval and p-value, or why there is none."""
    assert test.paired is not None
    if why := why_untested(test.paired):
        return why
    p = probability(test.p)
    return f"95 % interval {interval(test.paired)}, p {p}, {seeds_text(test.paired.count)}"


def _title(found: StudyPerturbations) -> str:
    return f"WF1 (%) of study {found.study} on the {found.split} split, raw"


def _drawn(found: StudyPerturbations) -> str:
    return f"{found.draws} draw{'s' if found.draws > 1 else ''} with seed {found.seed}"
