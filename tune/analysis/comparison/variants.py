"""The variants of a comparison: what sets each apart, its scores by seed, and the paper's.

Only of studies with ``sweep.test`` all. Names, order, reference and published numbers come from the study file where
there is one, else from what a variant changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tune.analysis.comparison.paper import ABLATE, METHODS, MODEL, row_scores, shares, variant_scores
from tune.config.yaml_files import plain
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.ranking import configured
from tune.study.scores import short_names, value_text
from tune.study.trial_table import param_keys, seed_values

NAMES = {
    "none": "DCLF",
    "no_cacl": "w/o CACL",
    "no_ce": "w/o CE",
    "no_mccl": "w/o MCCL",
    "no_ica": "w/o ICA",
    "base": "base model",
}
"""``loss.ablate`` -> the row's name in the paper's Table 4."""
LEADERBOARD = "leaderboard"
"""Layout of a study of many base models, each from a preset of its own."""
GRIDS = ("window", "gammas")
"""Layouts whose variants are values of DCLF's own; the paper's numbers there are of the whole framework."""
ROWS_OF_TABLE_3 = ("main", LEADERBOARD)
"""Layouts whose variants are base models without and with DCLF."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A configuration that every seed was scored with.

    Attributes:
        trial: number.
        model: base model.
        name: what sets it apart, in words.
        params: what it changes.
        part: ``loss.ablate`` of it.
        validation: seed -> first objective.
        test: seed -> scores on the test split.
        published: score -> the paper's value in [0, 1], as far as it has this row.
        reference: whether the others of its base model are compared with it.
    """

    trial: int
    model: str
    name: str
    params: Mapping[str, Any]
    part: str
    validation: Mapping[int, float]
    test: Mapping[int, Mapping[str, float]]
    published: Mapping[str, float]
    reference: bool

    @property
    def wf1(self) -> dict[int, float]:
        """Seed -> WF1 on the test split."""
        return self.score("wf1")

    def score(self, name: str) -> dict[int, float]:
        """Seed -> a score on the test split, of the seeds that have it."""
        return {seed: scores[name] for seed, scores in self.test.items() if name in scores}

    def mean(self, name: str) -> float:
        """Mean of a score over the seeds; NaN where none has it."""
        values = self.score(name).values()
        return math.fsum(values) / len(values) if values else math.nan


def framework_name(model: str, part: str) -> str:
    """What is trained: ``mmgcn + DCLF``, ``mmgcn + DCLF w/o CACL``, or ``mmgcn`` alone.

    Args:
        model: base model.
        part: ``loss.ablate``.
    """
    around = {"none": " + DCLF", "base": ""}.get(part, f" + DCLF {NAMES.get(part, part)}")
    return f"{model}{around}"


def is_comparison(definition: StudyDefinition) -> bool:
    """Whether a study reports all of its configurations, and chooses none."""
    return definition.sweep.test == "all"


def layout_of(definition: StudyDefinition) -> str:
    """How a study file wants its study laid out; empty for anything else."""
    return str(definition.plan.get("layout", ""))


def variants_of(folder: StudyFolder) -> list[Variant]:
    """The variants that have test scores, in the order of the study file or of the study's space; none of a search."""
    definition = folder.definition
    if not is_comparison(definition):
        return []
    if definition.variants:
        return list(_planned(folder))
    return sorted(_searched(folder), key=lambda variant: _place(variant, definition.space))


def _searched(folder: StudyFolder) -> Iterator[Variant]:
    definition = folder.definition
    base = definition.base
    names = short_names([key for key in param_keys(folder) if key not in (ABLATE, MODEL)])
    for trial, scores in _tested(folder):
        model = str(trial.params.get(MODEL, base.model.name))
        yield Variant(
            trial=trial.number,
            model=model,
            name=_name(trial, names),
            params=trial.params,
            part=str(trial.params.get(ABLATE, base.loss.ablate)),
            validation=seed_values(trial, 0),
            test=scores,
            published=variant_scores(base.published.get(model, {}), trial.params, base.loss.ablate),
            reference=_is_reference(trial.params, definition.config, model),
        )


def _planned(folder: StudyFolder) -> Iterator[Variant]:
    """The study file's variants, as far as their trials have scores."""
    definition = folder.definition
    base, tested = definition.base, list(_tested(folder))
    for planned in definition.variants:
        model, params = str(planned["model"]), plain(planned["params"])
        part = str(params.get(ABLATE, base.loss.ablate))
        row, published = {}, planned.get("published") or {}
        if layout_of(definition) in GRIDS and part != "none":
            published = {}
        if layout_of(definition) in ROWS_OF_TABLE_3 and part in METHODS and not planned.get("changes"):
            row = row_scores(base.published.get(model, {}), METHODS[part])
        for trial, scores in tested:
            if plain(trial.params) == params:
                yield Variant(
                    trial=trial.number,
                    model=model,
                    name=str(planned["name"]),
                    params=trial.params,
                    part=part,
                    validation=seed_values(trial, 0),
                    test=scores,
                    published={**row, **shares(published)},
                    reference=bool(planned.get("reference")),
                )


def _tested(folder: StudyFolder) -> Iterator[tuple[TrialRecord, dict[int, Mapping[str, float]]]]:
    """Complete trials with the test scores of their seeds."""
    tested = folder.ledger.tested
    for trial in folder.ledger.trials.values():
        scores = {seed: tested[trial.number, seed] for seed in sorted(trial.runs) if (trial.number, seed) in tested}
        if trial.state == "complete" and scores:
            yield trial, scores


def _place(variant: Variant, space: Mapping[str, Any]) -> list[int]:
    """Where a variant's values stand among the choices of the space."""
    places = []
    for key, domain in space.items():
        choices, value = domain.get("choices", []), variant.params.get(key)
        places.append(choices.index(value) if value in choices else len(choices))
    return [*places, variant.trial]


def _name(trial: TrialRecord, names: Mapping[str, str]) -> str:
    parts = [NAMES.get(trial.params[ABLATE], str(trial.params[ABLATE]))] if ABLATE in trial.params else []
    parts += [f"{name} {value_text(trial.params[key])}" for key, name in names.items() if key in trial.params]
    return ", ".join(parts) or "as configured"


def _is_reference(params: Mapping[str, Any], sections: Mapping[str, Any], model: str) -> bool:
    """Whether nothing but the base model is changed; the whole framework, whatever the configuration says."""
    others = {key: value for key, value in params.items() if key not in (MODEL, ABLATE)}
    same = all(configured(sections, key, model) == plain(value) for key, value in others.items())
    return same and params.get(ABLATE, "none") == "none"
