"""Variants against their reference over shared seeds, with Holm's correction over the tests of one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tune.report.comparison.variants import Variant, layout_of, variants_of
from tune.report.statistics import Paired, holm, paired
from tune.study.folder import StudyFolder


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A variant against its reference.

    Attributes:
        variant: the variant.
        paired: the test; None for a reference, or where it has none.
        p: of the test, corrected for all tests of the table (Holm); NaN where there was none.
        published: the paper's difference, or None.
    """

    variant: Variant
    paired: Paired | None
    p: float
    published: float | None


def compared_variants(folder: StudyFolder) -> list[Compared]:
    """The variants with test scores, by WF1 against their reference; empty for a search.

    The reference of a base model is the one that the study file names, of ablations the whole framework, of anything
    else the base configuration; with the layout of the paper's Table 3 it is the base model.
    """
    found = variants_of(folder)
    references = base_models(found) if layout_of(folder.definition) == "main" else {}
    return compared(found, {**{variant.model: variant for variant in found if variant.reference}, **references})


def against_base(folder: StudyFolder) -> list[Compared]:
    """As the paper's Table 3: the variants of every base model that was also trained without DCLF, against that."""
    found = variants_of(folder)
    references = base_models(found)
    ordered = sorted((v for v in found if v.model in references), key=lambda v: (_first(found, v), v.part != "base"))
    return compared(ordered, references)


def base_models(variants: Sequence[Variant]) -> dict[str, Variant]:
    """Base model -> its variant without DCLF."""
    return {variant.model: variant for variant in variants if variant.part == "base"}


def whole_frameworks(variants: Sequence[Variant]) -> dict[str, Variant]:
    """Base model -> its variant with all of DCLF, the reference of several."""
    found = [variant for variant in variants if variant.part == "none"]
    return {variant.model: variant for variant in sorted(found, key=lambda variant: variant.reference)}


def compared(
    variants: Sequence[Variant],
    references: Mapping[str, Variant],
    values: Callable[[Variant], Mapping[int, float]] = lambda variant: variant.wf1,
    published: Callable[[Variant], float] = lambda variant: variant.published.get("wf1", math.nan),
) -> list[Compared]:
    """Every variant against the reference of its base model.

    Args:
        variants: in the order of the table.
        references: base model -> what its variants are compared with.
        values: seed -> what is compared.
        published: the paper's value of that, NaN for none.
    """
    tests = [_test(variant, references.get(variant.model), values) for variant in variants]
    corrected = holm([math.nan if test is None else test.p for test in tests])
    found = []
    for variant, test, p in zip(variants, tests, corrected, strict=True):
        difference = math.nan if test is None else published(variant) - published(references[variant.model])
        known = None if math.isnan(difference) else difference
        found.append(Compared(variant=variant, paired=test, p=p, published=known))
    return found


def _test(
    variant: Variant, reference: Variant | None, values: Callable[[Variant], Mapping[int, float]]
) -> Paired | None:
    if reference is None or variant is reference or not values(variant).keys() & values(reference).keys():
        return None
    return paired(values(variant), values(reference))


def _first(variants: Sequence[Variant], of: Variant) -> int:
    """Where the variant's base model comes first."""
    return next(place for place, variant in enumerate(variants) if variant.model == of.model)
