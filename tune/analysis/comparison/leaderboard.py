"""A leaderboard's rows: what every base model came to without and with DCLF, what it costs, and what was published."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dclf.prose import join_words
from tune.analysis.comparison.claims import as_in_paper
from tune.analysis.comparison.differences import Difference, compared_variants, is_joint
from tune.analysis.comparison.tables import class_names
from tune.analysis.comparison.variants import Variant
from tune.analysis.perturbation.study_tables import drops_of, perturbed_variants
from tune.analysis.speed import Speed, speeds_of
from tune.study.folder import StudyFolder
from tune.study.scores import deviation

SHIFTS = {"w/o shift": "no_shift/wf1", "w/ shift": "shift/wf1"}
"""Head of a column -> score: WF1 of the utterances without and with emotion shift."""

CUT = "cut"
"""The condition of bidirectional models: the own context, up to the target."""
_REMARKS = {"best_on_test": "best on test", "curriculum": "a curriculum", "unverified": "unverified"}
"""Key of what the authors published -> what the page says of it."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row.

    Attributes:
        difference: the variant, and its test against the base model.
        drops: seed -> how much of its WF1 the EICS test costs, the mean over the draws.
        future: seed -> the part of it that is lost without the utterances after the target, which that test does not
            have either; empty for real-time models.
        speed: what its models cost; None where that was not measured.
        authors: what the base model's authors published, in percent, as its preset has it; empty for DCLF, and where
            the preset says nothing.
    """

    difference: Difference
    drops: Mapping[int, float] = field(default_factory=dict)
    future: Mapping[int, float] = field(default_factory=dict)
    speed: Speed | None = None
    authors: Mapping[str, Any] = field(default_factory=dict)

    @property
    def variant(self) -> Variant:
        """The base model without or with DCLF."""
        return self.difference.variant

    @property
    def remark(self) -> str:
        """How the authors' numbers came about, as far as the preset says; empty where it says nothing."""
        modalities = self.authors.get("modalities")
        alone = [f"{join_words(modalities)} alone"] if isinstance(modalities, list) and modalities else []
        return ", ".join([*alone, *(words for key, words in _REMARKS.items() if self.authors.get(key))])


def entries_of(folder: StudyFolder) -> list[Entry]:
    """The rows in the order of the study: every base model, then DCLF around it; none of any other study."""
    if not is_joint(folder.definition):
        return []
    speeds, authors = speeds_of(folder), folder.definition.plan.get("authors", {})
    trainings = {row.variant.trial: row.trainings for row in perturbed_variants(folder)}
    return [
        Entry(
            difference=one,
            drops=drops_of(trainings.get(one.variant.trial, {})),
            future=drops_of(trainings.get(one.variant.trial, {}), CUT),
            speed=speeds.get(one.variant.trial),
            authors=authors.get(one.variant.model, {}) if one.variant.part == "base" else {},
        )
        for one in compared_variants(folder)
    ]


def board_facts(folder: StudyFolder) -> list[dict[str, Any]]:
    """The rows as plain numbers, for JSON: scores and differences in [0, 1], None for what is not known."""
    entries = entries_of(folder)
    labels = class_names([entry.variant for entry in entries])
    other = not as_in_paper(folder.definition)
    facts = [{**_facts(entry, labels), "published_of_other_data": other} for entry in entries]
    return [{key: _without_nan(value) for key, value in row.items()} for row in facts]


def board_csv(folder: StudyFolder) -> str:
    """``board_facts`` as a table, a line for each row."""
    facts, text = board_facts(folder), io.StringIO()
    writer = csv.DictWriter(text, list(facts[0]) if facts else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(facts)
    return text.getvalue()


def _facts(entry: Entry, labels: Sequence[str]) -> dict[str, Any]:
    variant, test, speed = entry.variant, entry.difference.paired, entry.speed
    facts: dict[str, Any] = {"model": variant.model, "method": variant.name, "seeds": len(variant.test)}
    for name in ("wf1", "wa", *SHIFTS.values(), *(f"f1/{label}" for label in labels)):
        facts |= _mean_and_deviation(name, variant.score(name))
    facts |= _mean_and_deviation("eics_drop", entry.drops)
    facts |= _mean_and_deviation("eics_drop_future", entry.future)
    facts |= {
        "difference": None if test is None else test.difference,
        "low": None if test is None else test.low,
        "high": None if test is None else test.high,
        "p_holm": entry.difference.p,
        "parameters": None if speed is None else speed.parameters,
    }
    facts |= _mean_and_deviation("epoch_s", {} if speed is None else speed.epoch_s)
    facts["utterance_ms"] = None if speed is None else speed.utterance_ms
    facts |= {f"paper_{score}": variant.published.get(score) for score in ("wf1", "wa")}
    facts |= {f"authors_{score}": _share(entry.authors.get(score)) for score in ("wf1", "wa")}
    return {**facts, "authors_remark": entry.remark or None, "authors_source": entry.authors.get("source")}


def _mean_and_deviation(name: str, by_seed: Mapping[int, float]) -> dict[str, float | None]:
    values = list(by_seed.values())
    return {name: math.fsum(values) / len(values) if values else None, f"{name}_std": deviation(values)}


def _without_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _share(percent: Any) -> float | None:
    return percent / 100 if isinstance(percent, int | float) else None
