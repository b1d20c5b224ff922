"""A comparison's tables, laid out as the paper's Tables 3, 4 and 7, measured beside published."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from tune.analysis.comparison.claims import as_in_paper, other_data
from tune.analysis.comparison.differences import Difference, against_base, base_first, compared_variants, family_sizes
from tune.analysis.comparison.number_text import UNTESTED, effect_size, family_note, interval, points, probability
from tune.analysis.comparison.variants import Variant, layout_of, variants_of
from tune.analysis.statistics import mean_interval
from tune.analysis.table import Table
from tune.study.folder import StudyFolder
from tune.study.scores import WF1

TESTED = ("95 % interval", "p", "d_z")
SHIFTS = {"whole": "wf1", "w/o shift": "no_shift/wf1", "w/ shift": "shift/wf1"}
CLASS_SCORES = {"f1": "F1", "accuracy": "Accuracy"}
"""Score of a class -> its name."""


def variants_table(folder: StudyFolder) -> Table | None:
    """Mean and deviation over seeds, the difference to the reference with its interval, and the paper's numbers."""
    differences = compared_variants(folder)
    if not differences:
        return None
    title = f"Variants of study {folder.definition.name} on the test split"
    return _scores(folder, differences, title, "variant", scores=("wf1", "wa"), paper=("wf1",))


def main_table(folder: StudyFolder) -> Table | None:
    """Table 3: WA and WF1 of every base model without and with DCLF, tested against the base model.

    The p-values are those of the study's one family of tests for a base model, see ``against_base``. None where no base
    model was trained both ways.
    """
    differences = against_base(folder)
    if not any(one.paired for one in differences):
        return None
    title = f"Test scores of study {folder.definition.name}, differences in WF1 to the base model"
    return _scores(folder, differences, title, "method", scores=("wa", "wf1"), paper=("wa", "wf1"))


def class_tables(folder: StudyFolder) -> dict[str, Table]:
    """``f1`` and ``accuracy``: the classes of Table 3, the paper's row under the measured one where it has numbers."""
    variants = base_first(variants_of(folder))
    tables, papers = {}, f"paper{other_data(folder.definition)}"
    for kind, name in CLASS_SCORES.items():
        labels = class_names(variants, kind)
        rows = [row for variant in variants for row in _class_rows(variant, kind, labels, papers)]
        if labels and rows:
            title = f"{name} (%) per class on the test split of study {folder.definition.name}"
            tables[kind] = Table(title=title, head=("model", "method", *labels), rows=tuple(rows), numeric=2)
    return tables


def shifts_table(folder: StudyFolder) -> Table | None:
    """WF1 of utterances without and with emotion shift, as the paper's Table 7 has it; None without test scores."""
    variants = variants_of(folder)
    variants = (base_first(variants) if layout_of(folder.definition) == "main" else []) or variants
    if not variants:
        return None
    sides = SHIFTS.values()
    published = any(has_published(variant, list(sides)[1:]) for variant in variants)
    other = other_data(folder.definition)
    head = ("model", "variant", *SHIFTS, *((f"paper {side}{other}" for side in SHIFTS) if published else ()))
    rows = []
    for variant in variants:
        papers = [published_text(variant, side) for side in sides] if published else []
        rows.append((variant.model, variant.name, *(mean_text(variant, side) for side in sides), *papers))
    title = f"Test WF1 (%) of study {folder.definition.name} on emotion shift"
    return Table(title=title, head=head, rows=tuple(rows), numeric=2)


def distance_table(folder: StudyFolder) -> Table | None:
    """Measured WF1 minus the published one, with the interval of the measured mean where there are seeds enough.

    None but on the paper's own data: from any other the distance says nothing.
    """
    variants = [variant for variant in variants_of(folder) if "wf1" in variant.published and variant.wf1]
    if not variants or not as_in_paper(folder.definition):
        return None
    ends = [mean_interval(list(variant.wf1.values())) for variant in variants]
    spans = not all(math.isnan(low) for low, _ in ends)
    rows = []
    for variant, (low, high) in zip(variants, ends, strict=True):
        paper = variant.published["wf1"]
        cells = [mean_text(variant, "wf1"), published_text(variant, "wf1"), points(variant.mean("wf1") - paper)]
        span = "–" if math.isnan(low) else f"[{points(low - paper)}, {points(high - paper)}]"
        rows.append((variant.model, variant.name, *cells, *([span] if spans else [])))
    head = ("model", "variant", "measured", "paper", "measured - paper", *(["95 % interval"] if spans else []))
    title = f"How far test WF1 (%) of study {folder.definition.name} is from the published"
    note = "Interval: of the measured mean over the seeds, by Student's t." if spans else ""
    return Table(title=title, head=head, rows=tuple(rows), numeric=2, note=note)


def class_names(variants: Sequence[Variant], kind: str = "f1") -> list[str]:
    """The classes that any variant has a score of this kind for, in the data's order."""
    names = (name for variant in variants for scores in variant.test.values() for name in scores)
    labels = (name.removeprefix(f"{kind}/") for name in names if name.startswith(f"{kind}/"))
    return list(dict.fromkeys(labels))


def mean_text(variant: Variant, score: str) -> str:
    """``71.00 ± 1.00`` over the seeds, in percent; a dash where no seed has the score."""
    values = list(variant.score(score).values())
    return WF1.mean_text(values) if values else "–"


def published_text(variant: Variant, score: str) -> str:
    """The paper's value in percent, or a dash."""
    return WF1.number(variant.published[score]) if score in variant.published else "–"


def has_published(variant: Variant, scores: Iterable[str]) -> bool:
    """Whether the paper has any of these scores."""
    return any(score in variant.published for score in scores)


def _scores(
    folder: StudyFolder,
    differences: Sequence[Difference],
    title: str,
    name: str,
    *,
    scores: Sequence[str],
    paper: Sequence[str],
) -> Table:
    """Scores, differences in WF1 with their test where there is one, and the paper's numbers where it has any."""
    comparing = any(one.paired for one in differences)
    with_paper = any(has_published(one.variant, paper) for one in differences)
    testing = any(one.paired and one.paired.tested for one in differences)
    rows = []
    for one in differences:
        variant = one.variant
        cells = [mean_text(variant, score) for score in scores]
        cells += difference_cells(one, testing=testing) if comparing else []
        cells += [published_text(variant, score) for score in paper] if with_paper else []
        cells += ["–" if one.published is None else points(one.published)] if with_paper and comparing else []
        rows.append((variant.model, variant.name, str(len(variant.test)), *cells))
    columns = [f"{score.upper()} (%)" for score in scores]
    columns += ["difference", *(TESTED if testing else ())] if comparing else []
    other = other_data(folder.definition) if with_paper else ""
    columns += [f"paper {score.upper()}{other}" for score in paper] if with_paper else []
    columns += [f"paper's diff.{other}"] if with_paper and comparing else []
    note = differences_note(differences, "WF1") if comparing else ""
    return Table(title=title, head=("model", name, "seeds", *columns), rows=tuple(rows), numeric=2, note=note)


def difference_cells(one: Difference, *, testing: bool, effect: bool = True) -> list[str]:
    """A difference, and with ``testing`` its interval, corrected p and effect size; dashes where there is none."""
    test = one.paired
    if test is None:
        return ["–"] * (1 + testing * (2 + effect))
    cells = [interval(test), probability(one.p), *([effect_size(test)] if effect else [])] if testing else []
    return [points(test.difference), *cells]


def differences_note(differences: Sequence[Difference], score: str) -> str:
    """What is compared with what, and the tests that the p-values are corrected for: the note of a table.

    Args:
        differences: its rows.
        score: what is compared, such as ``WF1``.
    """
    names = dict.fromkeys(one.reference.name for one in differences if one.reference is not None)
    reference = f"Reference: {next(iter(names))}. " if len(names) == 1 else ""
    tests = [one.paired for one in differences if one.paired is not None]
    dash = any(test.tested for test in tests) and not all(test.tested for test in tests)
    return " ".join(
        [
            f"{reference}Differences in {score} in points, over shared seeds.",
            family_note(family_sizes(differences), score),
            *([f"Not tested: {UNTESTED}."] if dash else []),
        ]
    )


def _class_rows(variant: Variant, kind: str, labels: Sequence[str], papers: str) -> Iterator[tuple[str, ...]]:
    names = [f"{kind}/{label}" for label in labels]
    yield (variant.model, variant.name, *(mean_text(variant, name) for name in names))
    if has_published(variant, names):
        yield ("", papers, *(published_text(variant, name) for name in names))
