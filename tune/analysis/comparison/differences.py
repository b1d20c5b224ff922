"""Variants against their reference over shared seeds, with Holm's correction over the tests of one claim.

A claim is one question to one base model, and its tests are one family: what each variant does to WF1, whether DCLF
narrows the gap at emotion shifts, whether it makes the EICS drop smaller. A leaderboard asks a question of all base
models at once: there the family is all of their tests. A pair of variants has one p-value for a question, whichever
table shows it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tune.analysis.comparison.paper import ABLATE
from tune.analysis.comparison.variants import LEADERBOARD, Variant, layout_of, variants_of
from tune.analysis.statistics import PairedTest, holm, paired
from tune.config.yaml_files import plain
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A variant against its reference.

    Attributes:
        variant: the variant.
        reference: what it is compared with; None for a reference itself, or where there is none.
        paired: the test; None where there is no reference, or no seed that both have.
        p: of the test, corrected for all tests of its family (Holm); NaN where there was none.
        family: how many tests that are: those of the same question to the same base model, or to all of them.
        joint: whether the family is of all base models together.
        published: the paper's difference, or None.
    """

    variant: Variant
    reference: Variant | None = None
    paired: PairedTest | None = None
    p: float = math.nan
    family: int = 0
    joint: bool = False
    published: float | None = None


def compared_variants(folder: StudyFolder) -> list[Difference]:
    """The variants with test scores, by WF1 against their reference; empty for a search.

    The reference of a base model is the one that the study file names, of ablations the whole framework, of anything
    else the base configuration; with the layout of the paper's Table 3 it is the base model.
    """
    variants = variants_of(folder)
    references = base_models(variants) if layout_of(folder.definition) == "main" else {}
    own = {variant.model: variant for variant in variants if variant.reference}
    return compare_variants(variants, {**own, **references}, joint=is_joint(folder.definition))


def is_joint(definition: StudyDefinition) -> bool:
    """Whether a study asks its questions of all base models at once, so that their tests are one family."""
    return layout_of(definition) == LEADERBOARD


def against_base(folder: StudyFolder) -> list[Difference]:
    """As the paper's Table 3: DCLF against every base model that was also trained without it, the base model first.

    With the layout of that table all variants. The tests are those of ``compared_variants``, turned round where the
    base model is compared with DCLF there.
    """
    every = compared_variants(folder)
    variants = [one.variant for one in every]
    if layout_of(folder.definition) == "main":
        return [one for variant in base_first(variants) for one in every if one.variant is variant]
    bases, wholes = base_models(variants), whole_frameworks(variants)
    return [one for model in bases if model in wholes for one in _sides(every, bases[model], wholes[model])]


def _sides(every: Sequence[Difference], base: Variant, whole: Variant) -> list[Difference]:
    """Return a base model, and DCLF around it compared with the base model."""
    for one in every:
        if one.variant is whole and one.reference is base:
            return [Difference(variant=base), one]
        if one.variant is base and one.reference is whole and one.paired is not None:
            published = None if one.published is None else -one.published
            turned = replace(one, variant=whole, reference=base, paired=one.paired.reversed, published=published)
            return [Difference(variant=base), turned]
    # Neither is the other's reference in this study.
    return compare_variants([base, whole], {base.model: base})


def base_models(variants: Sequence[Variant]) -> dict[str, Variant]:
    """Base model -> its variant without DCLF, of several the one that differs from DCLF in nothing else."""
    wholes, bases = whole_frameworks(variants), dict[str, Variant]()
    for one in variants:
        if one.part == "base" and (one.model not in bases or _others(one) == _others(wholes.get(one.model))):
            bases[one.model] = one
    return bases


def base_first(variants: Sequence[Variant]) -> list[Variant]:
    """The variants of the base models that were also trained without DCLF, in the order of Table 3."""
    bases = base_models(variants)
    return [
        one for model in bases for one in sorted(variants, key=lambda one: one.part != "base") if one.model == model
    ]


def whole_frameworks(variants: Sequence[Variant]) -> dict[str, Variant]:
    """Base model -> its variant with all of DCLF, the reference of several."""
    wholes = [variant for variant in variants if variant.part == "none"]
    return {variant.model: variant for variant in sorted(wholes, key=lambda variant: variant.reference)}


def compare_variants(
    variants: Sequence[Variant],
    references: Mapping[str, Variant],
    values: Callable[[Variant], Mapping[int, float]] = lambda variant: variant.wf1,
    published: Callable[[Variant], float] = lambda variant: variant.published.get("wf1", math.nan),
    *,
    joint: bool = False,
) -> list[Difference]:
    """Every variant against the reference of its base model.

    Args:
        variants: in the order of the table.
        references: base model -> what its variants are compared with.
        values: seed -> what is compared.
        published: the paper's value of that, NaN for none.
        joint: whether the tests of all base models are one family.
    """
    against = [_reference(variant, references, values) for variant in variants]
    tests = [
        None if other is None else paired(values(variant), values(other))
        for variant, other in zip(variants, against, strict=True)
    ]
    families = ["" if joint else variant.model for variant in variants]
    corrected, sizes = _corrected(families, tests)
    differences = []
    for variant, other, test, p, family in zip(variants, against, tests, corrected, families, strict=True):
        difference = math.nan if other is None else published(variant) - published(other)
        differences.append(
            Difference(
                variant=variant,
                reference=other,
                paired=test,
                p=p,
                family=sizes[family] if test is not None else 0,
                joint=joint,
                published=None if math.isnan(difference) else difference,
            )
        )
    return differences


def family_sizes(differences: Sequence[Difference]) -> dict[str, int]:
    """Base model -> how many tests the p-values of its variants are corrected for; one entry for a joint family."""
    sizes: dict[str, int] = {}
    for one in differences:
        whose = "all base models" if one.joint else one.variant.model
        sizes[whose] = max(sizes.get(whose, 0), one.family)
    return sizes


def _corrected(families: Sequence[str], tests: Sequence[PairedTest | None]) -> tuple[list[float], Counter[str]]:
    """p-values after Holm's correction within each family; family -> tests."""
    p_values = [math.nan if test is None else test.p for test in tests]
    corrected, sizes = [math.nan] * len(tests), Counter[str]()
    for family in dict.fromkeys(families):
        places = [place for place, own in enumerate(families) if own == family]
        sizes[family] = sum(not math.isnan(p_values[place]) for place in places)
        for place, p in zip(places, holm([p_values[place] for place in places]), strict=True):
            corrected[place] = p
    return corrected, sizes


def _reference(
    variant: Variant, references: Mapping[str, Variant], values: Callable[[Variant], Mapping[int, float]]
) -> Variant | None:
    """What a variant is compared with; None for a reference, or where they share no seed."""
    other = references.get(variant.model)
    if other is None or variant is other or not values(variant).keys() & values(other).keys():
        return None
    return other


def _others(variant: Variant | None) -> dict[str, Any] | None:
    """What a variant changes beside the part of the framework."""
    if variant is None:
        return None
    return {key: plain(value) for key, value in variant.params.items() if key != ABLATE}
