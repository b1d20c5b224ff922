"""What a comparison shows, in sentences, and whether that is what the paper found.

Only the paper's own data set, with all its modalities, can confirm or contradict the paper. On anything else, generated
data above all, a sentence says no more than that signs agree or differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from dclf.prose import join_words
from tune.analysis.comparison.claims import as_in_paper
from tune.analysis.comparison.differences import (
    Difference,
    base_models,
    compare_variants,
    compared_variants,
    is_joint,
    whole_frameworks,
)
from tune.analysis.comparison.grids import Grid, grids_over
from tune.analysis.comparison.number_text import interval, points, probability, why_untested
from tune.analysis.comparison.paper import GAMMA_CA, GAMMA_MC, OPTIMUM, WINDOW
from tune.analysis.comparison.tables import mean_text
from tune.analysis.comparison.variants import Variant, variants_of
from tune.analysis.statistics import FEWEST
from tune.study.folder import StudyFolder
from tune.study.scores import WF1, value_text

SIGNIFICANT = 0.05
OUTCOMES = (
    "confirmed",
    "the same direction, but not significant",
    "not confirmed",
    "contradicted",
    "the paper's sign, significant",
    "the paper's sign, not significant",
    "not the paper's sign, not significant",
    "not the paper's sign, significant",
)
"""What a finding of the paper can come to: the first four on its own data, the others elsewhere."""
_WORDS = (
    "{paper} is confirmed",
    "the direction of {paper}, but not significant",
    "{paper} is not confirmed",
    "{paper} is contradicted",
    "the same sign as {paper}, significant",
    "the same sign as {paper}, not significant",
    "not the sign of {paper}, not significant",
    "not the sign of {paper}, significant",
)
"""The end of the sentence for each outcome."""
NOT_TESTED = "not tested"
"""What a finding comes to where the seeds are too few, or differ by the same: no judgement."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One sentence on one finding.

    Attributes:
        about: the finding in short, such as ``mmgcn, w/o CACL``.
        sentence: what was measured, and what that says of the paper.
        outcome: one of ``OUTCOMES``, or ``NOT_TESTED``; empty where the paper has nothing to compare with.
        paper: whether the sentence names what the paper found.
        table: of the paper that has this finding, where it is not the study's own.
        finding: in a table's words, such as ``mmgcn, w/o CACL against DCLF``.
        published: what the paper has, as a table shows it; empty for nothing.
        measured: likewise.
        interval: of what was measured, 95 %; empty where nothing is tested.
    """

    about: str
    sentence: str
    outcome: str = ""
    paper: bool = False
    table: str = ""
    finding: str = ""
    published: str = ""
    measured: str = ""
    interval: str = ""


class TableWords(TypedDict):
    """The fields of ``Verdict`` that a table shows."""

    finding: str
    published: str
    measured: str
    interval: str


def verdicts(folder: StudyFolder) -> list[Verdict]:
    """What is to be said of every variant with a reference, of emotion shift, and of a grid's best values."""
    own = as_in_paper(folder.definition)
    weights = list(_of_gammas(folder))
    # Of two weights the map says more than a sentence per cell.
    each = [] if weights else compared_variants(folder)
    return [
        *(verdict for one in each for verdict in _of_variant(one, own=own)),
        *_of_shifts(variants_of(folder), own=own, joint=is_joint(folder.definition)),
        *_of_windows(folder),
        *weights,
    ]


def _of_variant(one: Difference, *, own: bool) -> Iterator[Verdict]:
    test, variant = one.paired, one.variant
    if test is None:
        return
    about = f"{variant.model}, {variant.name}"
    means, numbers = f"{about}: {points(test.difference)} points", table_words(one, about)
    if not test.tested:
        parting = ";" if test.count < FEWEST else ","
        outcome = "" if one.published is None else NOT_TESTED
        yield Verdict(about=about, sentence=f"{means}{parting} {why_untested(test)}.", outcome=outcome, **numbers)
        return
    outcome, words = judged(one, own=own)
    sentence = f"{means}{_evidence(one)}: {words}."
    yield Verdict(about=about, sentence=sentence, outcome=outcome, paper=bool(outcome), **numbers)


def table_words(one: Difference, about: str) -> TableWords:
    """What a table says of a verdict on a difference, in points.

    Args:
        one: with a test.
        about: the finding in short.
    """
    assert one.paired is not None
    assert one.reference is not None
    return TableWords(
        finding=f"{about} against {one.reference.name}",
        published="" if one.published is None else points(one.published),
        measured=points(one.paired.difference),
        interval=interval(one.paired) if one.paired.tested else "",
    )


def _evidence(one: Difference) -> str:
    """`` [-4.10, -0.20], p 0.0351``, with the seeds where not all of them count."""
    assert one.paired is not None
    return f" {interval(one.paired)}, p {probability(one.p)}{_shared(one)}"


def _shared(one: Difference) -> str:
    """How many seeds the difference is over, where a side has more."""
    assert one.paired is not None
    assert one.reference is not None
    most = max(len(one.variant.test), len(one.reference.test))
    return "" if one.paired.count == most else f", over the {one.paired.count} seeds that both have"


def judged(one: Difference, *, own: bool) -> tuple[str, str]:
    """The outcome of a test, empty where the paper has no difference, and the end of the sentence on it.

    Args:
        one: a comparison that was tested.
        own: whether the data are the paper's.
    """
    assert one.paired is not None
    significant = one.p < SIGNIFICANT
    if one.published is None:
        return "", "significant" if significant else "not significant"
    same = one.paired.difference * one.published > 0
    place = (0 if significant else 1) if same else (3 if significant else 2)
    place += 0 if own else len(OUTCOMES) // 2
    return OUTCOMES[place], _WORDS[place].format(paper=f"the paper's {points(one.published)}")


def _of_shifts(variants: Sequence[Variant], *, own: bool, joint: bool) -> Iterator[Verdict]:
    """Whether DCLF narrows the gap between utterances without and with emotion shift (Table 7)."""
    bases, wholes = base_models(variants), whole_frameworks(variants)
    both = [one for model, one in wholes.items() if model in bases]
    differences = compare_variants(both, bases, _gap, lambda variant: _published_gap(variant.published), joint=joint)
    for one in differences:
        test, about = one.paired, f"{one.variant.model}, emotion shift"
        if test is None or not test.tested:
            continue
        outcome, words = judged(one, own=own)
        gaps = _both_gaps(one.variant, bases[one.variant.model])
        change = f"the gap changes by {points(test.difference)} points{_evidence(one)}"
        sentence = f"{about}: {gaps}: {change}: {words}."
        words_of_table = table_words(one, about)
        yield Verdict(
            about=about, sentence=sentence, outcome=outcome, paper=bool(outcome), table="Table 7", **words_of_table
        )


def _gap(variant: Variant) -> dict[int, float]:
    """Seed -> how much better utterances without emotion shift are recognised."""
    without, with_shift = variant.score("no_shift/wf1"), variant.score("shift/wf1")
    return {seed: without[seed] - with_shift[seed] for seed in without.keys() & with_shift.keys()}


def _both_gaps(whole: Variant, base: Variant) -> str:
    """``WF1 there is below that elsewhere by 8.10 ± 0.40 points with DCLF, by 9.30 ± 0.50 without``."""
    (side, mean), (other, before) = _mean_gap(whole), _mean_gap(base)
    again = "" if other == side else f"{other} it "
    return f"WF1 there is {side} that elsewhere by {mean} points with DCLF, {again}by {before} without"


def _mean_gap(variant: Variant) -> tuple[str, str]:
    """Whether utterances with emotion shift are recognised worse (``below``) or better, and by how many points."""
    gaps = [gap for _, gap in sorted(_gap(variant).items())]
    text = WF1.mean_text(gaps)
    return ("above", WF1.mean_text([-gap for gap in gaps])) if text.startswith("-") else ("below", text)


def _published_gap(published: Mapping[str, float]) -> float:
    return published.get("no_shift/wf1", math.nan) - published.get("shift/wf1", math.nan)


def _of_windows(folder: StudyFolder) -> Iterator[Verdict]:
    """At which window the mean WF1 is highest, and which one is best in the paper's Table 5."""
    for grid in grids_over(folder, (WINDOW,)):
        papers = {values: one.published["wf1"] for values, one in grid.cells.items() if "wf1" in one.published}
        published = value_text(max(papers, key=lambda values: papers[values])[0]) if papers else ""
        end = f"; of these the paper's best is {published}" if papers else ""
        about = f"{grid.model}, best window"
        where = join_words([value_text(window) for (window,) in grid.best])
        sentence = f"{about}: W {where} with {_best(grid)}{end}."
        words = TableWords(
            finding=about, published=f"W {published}" if papers else "", measured=f"W {where}", interval=""
        )
        yield Verdict(about=about, sentence=sentence, paper=bool(end), **words)


def _of_gammas(folder: StudyFolder) -> Iterator[Verdict]:
    """Where on the grid the best WF1 is, and where the paper has it."""
    optimum = OPTIMUM.get(str(folder.definition.base.published.get("dataset")))
    for grid in grids_over(folder, (GAMMA_CA, GAMMA_MC)):
        # The paper's weights are of the whole framework.
        published = f"gamma_ca {optimum[1]}" if optimum and grid.part == "none" else ""
        end = f"; the paper's best on {optimum[0]} is at {published}" if optimum and published else ""
        about = f"{grid.model}, best weights"
        where = join_words([f"gamma_ca {value_text(ca)}, gamma_mc {value_text(mc)}" for ca, mc in grid.best])
        sentence = f"{about}: {where} with {_best(grid)}{end}."
        words = TableWords(finding=about, published=published, measured=where, interval="")
        yield Verdict(about=about, sentence=sentence, paper=bool(end), **words)


def _best(grid: Grid) -> str:
    """The highest mean; of several equal ones the mean alone."""
    if len(grid.best) > 1:
        return f"the same test WF1, {WF1.number(grid.cells[grid.best[0]].mean('wf1'))} %"
    return f"test WF1 {mean_text(grid.cells[grid.best[0]], 'wf1')} %"
