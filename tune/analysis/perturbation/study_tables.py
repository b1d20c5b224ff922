"""The perturbation tests of a study's variants over seeds: tables, sentences and CSV.

A seed's score is the mean over its draws; mean and deviation are over seeds. Reads what the study's folder keeps, and
computes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from tune.analysis.comparison.claims import caveats, other_data
from tune.analysis.comparison.differences import Difference, base_models, compare_variants, is_joint
from tune.analysis.comparison.number_text import interval, points, probability, seeds_text, why_untested
from tune.analysis.comparison.variants import Variant, variants_of
from tune.analysis.perturbation.files import load_study_perturbations
from tune.analysis.perturbation.paper import SCORES, published_row
from tune.analysis.perturbation.scores import ModelScores
from tune.analysis.perturbation.tables import PerturbedVariant, corruption_table, scores_csv, substitution_table
from tune.analysis.statistics import relative_change
from tune.analysis.table import Table
from tune.study.dataset import dataset_note
from tune.study.folder import StudyFolder

CONTRASTED = "eics"
"""The condition whose drop DCLF is to make smaller."""
_GENERATED = "The data are generated: that drops are like the paper's says nothing of the paper's data."


def perturbed_variants(folder: StudyFolder, split: str = "test") -> list[PerturbedVariant]:
    """Return the variants that a perturbation test has scored, in the order of the study's other tables."""
    scores = load_study_perturbations(folder, split)
    if scores is None:
        return []
    trainings = {variant.trial: scores.of(variant.trial) for variant in variants_of(folder)}
    variants = [variant for variant in variants_of(folder) if trainings[variant.trial]]
    papers = {variant.trial: _paper(folder, variant) if split == "test" else {} for variant in variants}
    tests = compare_variants(
        variants,
        base_models(variants),
        lambda variant: drops_of(trainings[variant.trial]),
        lambda variant: papers[variant.trial].get("raw", math.nan) - papers[variant.trial].get(CONTRASTED, math.nan),
        joint=is_joint(folder.definition),
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


def perturbation_table(folder: StudyFolder) -> Table | None:
    """Return ``substitution_table`` of a study; None where no substitution was tested."""
    rows, scores = perturbed_variants(folder), load_study_perturbations(folder)
    if scores is None:
        return None
    return substitution_table(scores, rows, other_data(folder.definition) if any(row.paper for row in rows) else "")


def damage_table(folder: StudyFolder) -> Table | None:
    """Return ``corruption_table`` of a study; None where no modality was damaged."""
    scores = load_study_perturbations(folder)
    return None if scores is None else corruption_table(scores, perturbed_variants(folder))


def perturbations_csv(folder: StudyFolder) -> str:
    """Return ``scores_csv`` of a study."""
    return scores_csv(perturbed_variants(folder))


def perturbation_sentences(folder: StudyFolder, split: str = "test") -> list[str]:
    """Return what DCLF does to every base model's EICS drop, beside the paper's, and that other data are not its."""
    rows = perturbed_variants(folder, split)
    by_trial = {row.variant.trial: row for row in rows}
    sentences = [
        _sentence(row, by_trial[row.against.reference.trial])
        for row in rows
        if row.variant.part == "none" and row.against is not None and row.against.reference is not None
    ]
    if any(row.paper for row in rows):
        generated = dataset_note(folder.definition).generated
        sentences += [_GENERATED] if generated else caveats(folder.definition)
    return sentences


def _paper(folder: StudyFolder, variant: Variant) -> dict[str, float]:
    """The paper's row: the study file's, else that of the configuration where nothing but the method is chosen."""
    if all(name in variant.published for name in SCORES):
        return {name: variant.published[name] for name in SCORES}
    if folder.definition.variants or variant.params.keys() - {"model.name", "loss.ablate"}:
        return {}
    base = folder.definition.base
    return published_row(base.published, variant.model, variant.part, base.data.modalities)


def drops_of(trainings: Mapping[int, ModelScores], condition: str = CONTRASTED) -> dict[int, float]:
    """Return how much of its WF1 a condition costs each training that was scored under it, by seed."""
    return {seed: one.drop(condition) for seed, one in trainings.items() if condition in one.conditions}


def _sentence(row: PerturbedVariant, base: PerturbedVariant) -> str:
    assert row.against is not None
    assert row.against.paired is not None
    sentence = f"{row.variant.model}: {_change(row, base)} ({points(row.against.paired.difference)}"
    sentence += f"; {_certainty(row.against)})"
    if math.isnan(paper := row.paper_drop(CONTRASTED)) or math.isnan(before := base.paper_drop(CONTRASTED)):
        return f"{sentence}."
    whose = "the paper's" if "EICS drop" in sentence else "the paper's drop"
    return f"{sentence}; {whose} goes from {_points(before)} to {_points(paper)}."


def _change(row: PerturbedVariant, base: PerturbedVariant) -> str:
    """How the EICS drop differs, over the seeds that both have; in percent where ``relative_change`` has a number."""
    name, drops, bases = row.variant.name, drops_of(row.trainings), drops_of(base.trainings)
    own, before = (fmean(side[seed] for seed in drops.keys() & bases.keys()) for side in (drops, bases))
    if min(own, before) < 0:
        return f"under EICS WF1 {_movement(own)} points with {name} and {_movement(before)} without"
    if _points(own) == _points(before):
        return f"with {name} the EICS drop stays at {_points(before)} points"
    change = relative_change(drops, bases)
    share = "" if math.isnan(change) else f" by {100 * abs(change):.0f} %"
    verb = "shrinks" if own < before else "grows"
    return f"with {name} the EICS drop {verb}{share}, from {_points(before)} to {_points(own)} points"


def _movement(drop: float) -> str:
    return f"{'rises' if drop < 0 else 'falls'} by {_points(abs(drop))}"


def _points(drop: float) -> str:
    return f"{100 * drop:.2f}"


def _certainty(test: Difference) -> str:
    """Interval and p-value, or why there is none."""
    assert test.paired is not None
    if why := why_untested(test.paired):
        return why
    p = probability(test.p)
    return f"95 % interval {interval(test.paired)}, p {p}, {seeds_text(test.paired.count)}"
