"""A comparison's tables and sentences gathered for its pages: the report, the terminal, the run in MLflow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from tune.analysis.comparison.board_tables import board_tables
from tune.analysis.comparison.claims import as_in_paper, caveats, unlike_paper
from tune.analysis.comparison.differences import Difference, compared_variants
from tune.analysis.comparison.grids import gamma_table, window_table
from tune.analysis.comparison.leaderboard import board_facts
from tune.analysis.comparison.tables import class_tables, distance_table, main_table, shifts_table, variants_table
from tune.analysis.comparison.variants import LEADERBOARD, is_comparison, layout_of, variants_of
from tune.analysis.comparison.verdicts import NOT_TESTED, Verdict, judged, table_words, verdicts
from tune.analysis.optimism import optimism_table
from tune.analysis.perturbation.study_tables import (
    damage_table,
    perturbation_sentences,
    perturbation_table,
    perturbed_variants,
)
from tune.analysis.table import Table, markdown_escape, markdown_table
from tune.study.folder import StudyFolder

FIRST = {"main": "main", "perturbation": "perturbation"}
"""Layout of a study file -> the table that comes first; of any other it is the first that there is."""


def study_tables(folder: StudyFolder) -> dict[str, Table]:
    """Name of a file -> table with test scores, what the study is about first; empty for a search."""
    if not variants_of(folder):
        return {}
    if layout_of(folder.definition) == LEADERBOARD:
        return _present({**board_tables(folder), **_further(folder)})
    grids = {"window": window_table(folder), "gammas": gamma_table(folder)}
    candidates: dict[str, Table | None] = {**grids, "variants": variants_table(folder)}
    if (main := main_table(folder)) is not None:
        candidates |= {"main": main, **class_tables(folder)}
    if not any(grids.values()):
        # The paper has emotion shift for its models, not for every value of a grid.
        candidates["shifts"] = shifts_table(folder)
    candidates |= _further(folder)
    tables = _present(candidates)
    if layout_of(folder.definition) == "main":
        # The same rows and tests, in less detail.
        tables.pop("variants", None)
    first = FIRST.get(layout_of(folder.definition), "")
    return dict(sorted(tables.items(), key=lambda item: item[0] != first))


def _present(candidates: Mapping[str, Table | None]) -> dict[str, Table]:
    return {name: table for name, table in candidates.items() if table is not None}


def _further(folder: StudyFolder) -> dict[str, Table | None]:
    """What any comparison may have beside its variants."""
    return {
        "perturbation": perturbation_table(folder),
        "damage": damage_table(folder),
        "distance": distance_table(folder),
        "optimism": optimism_table(folder) if folder.definition.base.train.looks_at_test else None,
    }


def comparison_lines(folder: StudyFolder) -> Iterator[str]:
    """What a comparison shows, and which data that is about; nothing for a search."""
    if not is_comparison(folder.definition):
        return
    if not variants_of(folder):
        yield "No variant is scored on the test split yet; each is, once, when all of them are trained."
        return
    all_verdicts = verdicts(folder)
    sentences = [*(verdict.sentence for verdict in all_verdicts), *perturbation_sentences(folder)]
    if not all_verdicts and not perturbed_variants(folder):
        sentences.append(
            "Nothing is compared: that takes a base model's reference and another variant, scored with the same seed."
        )
    if any(verdict.paper for verdict in all_verdicts):
        sentences += caveats(folder.definition)
    yield from dict.fromkeys(sentences)


def study_verdicts(folder: StudyFolder) -> list[Verdict]:
    """``verdicts``, and what DCLF does to the drop under EICS, which ``perturbation_sentences`` has the words for."""
    own = as_in_paper(folder.definition)
    perturbed = [
        Verdict(
            about=f"{one.variant.model}, EICS drop",
            sentence="",
            outcome=_outcome(one.against, own=own),
            table="Table 6",
            **table_words(one.against, f"{one.variant.model}, EICS drop"),
        )
        for one in perturbed_variants(folder)
        if one.variant.part == "none" and one.against is not None
    ]
    return [*verdicts(folder), *perturbed]


def _outcome(one: Difference, *, own: bool) -> str:
    if one.paired is None or one.published is None:
        return ""
    return judged(one, own=own)[0] if one.paired.tested else NOT_TESTED


def comparison_facts(folder: StudyFolder) -> dict[str, Any]:
    """``variants`` with their scores by seed, ``verdicts``, and ``unlike_paper``: why ``published`` is of other data.

    Plain values for JSON; empty where none is scored.
    """
    differences = compared_variants(folder)
    if not differences:
        return {}
    facts = [{"about": one.about, "sentence": one.sentence, "outcome": one.outcome or None} for one in verdicts(folder)]
    return {
        "variants": [_plain(one) for one in differences],
        "verdicts": facts,
        "unlike_paper": list(unlike_paper(folder.definition)),
        **({"leaderboard": board} if (board := board_facts(folder)) else {}),
    }


def _plain(one: Difference) -> dict[str, Any]:
    variant, test = one.variant, one.paired
    numbers = {} if test is None else {**asdict(test), "p_holm": one.p, "tests_in_family": one.family}
    return {
        "trial": variant.trial,
        "model": variant.model,
        "variant": variant.name,
        "params": dict(variant.params),
        "test": {str(seed): dict(scores) for seed, scores in variant.test.items()},
        "published": dict(variant.published),
        "against_reference": {key: None if math.isnan(value) else value for key, value in numbers.items()} or None,
    }


def comparison_note(folder: StudyFolder) -> str:
    """The sentences and the first table as Markdown, for the page of the study's run.

    Where that table has no tests, the note of the first one that has: the sentences tell p-values.
    """
    lines = [f"- {markdown_escape(line)}" for line in comparison_lines(folder)]
    tables = [*study_tables(folder).values()]
    for table in tables[:1]:
        notes = [other.note for other in tables if other.note][: 0 if table.note else 1]
        lines += [f"\n{markdown_escape(note)}" for note in notes]
        lines += ["", f"**{markdown_escape(table.title)}**", "", markdown_table(table)]
    return "\n".join(lines)
