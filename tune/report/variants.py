"""Variants beside each other on the test split: ablations as the paper's Table 4 has them, grids as its Table 5.

Only of studies with ``sweep.test`` all. Every variant is compared with a reference over shared seeds: of ablations the
whole framework, of anything else the base configuration, of the same base model each.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tune.report.dataset import dataset_note
from tune.report.ranking import value_at
from tune.report.scores import WA, WF1, short_names, value_text
from tune.report.statistics import Paired, holm, paired
from tune.report.table import param_keys, seed_values
from tune.report.tables import Table
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord

ABLATE, MODEL, WINDOW = "loss.ablate", "model.name", "loss.window"
NAMES = {
    "none": "DCLF",
    "no_cacl": "w/o CACL",
    "no_ce": "w/o CE",
    "no_mccl": "w/o MCCL",
    "no_ica": "w/o ICA",
    "base": "base model",
}
"""``loss.ablate`` -> the row's name in the paper's Table 4."""
SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A configuration that every seed was scored with.

    Attributes:
        trial: number.
        model: base model.
        name: what sets it apart, in words.
        params: what it changes.
        validation: seed -> first objective.
        test: seed -> scores on the test split.
        published: the paper's WF1 in [0, 1], or None.
        reference: whether the others of its base model are compared with it.
    """

    trial: int
    model: str
    name: str
    params: Mapping[str, Any]
    validation: Mapping[int, float]
    test: Mapping[int, Mapping[str, float]]
    published: float | None
    reference: bool

    @property
    def wf1(self) -> dict[int, float]:
        """Seed -> WF1 on the test split."""
        return {seed: scores["wf1"] for seed, scores in self.test.items()}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A variant against its reference.

    Attributes:
        variant: the variant.
        paired: the test; None for a reference, or where it has none.
        p: of the test, corrected for all tests of the study (Holm); NaN where there was none.
        published: the paper's difference, or None.
    """

    variant: Variant
    paired: Paired | None
    p: float
    published: float | None


def compared_variants(folder: StudyFolder) -> list[Compared]:
    """The variants that have test scores, in the order of the study's space; empty for a search."""
    if folder.definition.sweep.test != "all":
        return []
    variants = sorted(_variants(folder), key=lambda variant: _place(variant, folder.definition.space))
    references = {variant.model: variant for variant in variants if variant.reference}
    tests = [_against(variant, references.get(variant.model)) for variant in variants]
    corrected = holm([math.nan if test is None else test.p for test in tests])
    found = []
    for variant, test, p in zip(variants, tests, corrected, strict=True):
        reference = references.get(variant.model)
        known = None not in (variant.published, getattr(reference, "published", None)) and test is not None
        difference = variant.published - reference.published if known else None  # type: ignore[operator,union-attr]
        found.append(Compared(variant=variant, paired=test, p=p, published=difference))
    return found


def variants_table(folder: StudyFolder) -> Table | None:
    """Mean and deviation over seeds, the difference to the reference with its interval, and the paper's numbers."""
    found = compared_variants(folder)
    if not found:
        return None
    published = any(one.variant.published is not None for one in found)
    name = folder.definition.name
    head = ("model", "variant", "seeds", "WF1 (%)", "WA (%)", "difference", "95 % interval", "p", "d_z")
    return Table(
        title=f"Variants of study {name} on the test split, p by paired t-tests with Holm's correction",
        head=(*head, "paper", "paper's diff.") if published else head,
        rows=tuple(_row(one, published=published) for one in found),
        numeric=2,
    )


def shifts_table(folder: StudyFolder) -> Table | None:
    """WF1 of utterances without and with emotion shift, as the paper's Table 7 has it; None without test scores."""
    found = [one.variant for one in compared_variants(folder)]
    if not found:
        return None
    sides = {"whole": "wf1", "w/o shift": "no_shift/wf1", "w/ shift": "shift/wf1"}
    papers = [_published_shifts(folder.definition.base.published, variant) for variant in found]
    rows = [
        (variant.model, variant.name, *(_over_seeds(variant, key) for key in sides.values()), *paper)
        for variant, paper in zip(found, papers, strict=True)
    ]
    published = any(cell != "–" for paper in papers for cell in paper)
    width = 5 + 3 * published
    head = ("model", "variant", *sides, *(f"paper {side}" for side in sides))
    return Table(
        title=f"Test WF1 (%) of study {folder.definition.name} on emotion shift",
        head=head[:width],
        rows=tuple(row[:width] for row in rows),
        numeric=2,
    )


def _over_seeds(variant: Variant, key: str) -> str:
    values = [scores[key] for scores in variant.test.values() if key in scores]
    return WF1.mean_text(values) if values else "–"


def _published_shifts(published: Mapping[str, Any], variant: Variant) -> list[str]:
    """The paper's row where nothing but the base model and the framework are chosen."""
    method = {"none": "dclf", "base": "base"}.get(variant.params.get(ABLATE, ""), "")
    row = published.get(variant.model, {}).get("table7", {}).get(method, {})
    alone = variant.params.keys() <= {MODEL, ABLATE}
    keys = ("whole", "without_shift", "with_shift")
    return [WF1.number(row[key] / 100) if alone and key in row else "–" for key in keys]


def verdicts(folder: StudyFolder) -> Iterator[str]:
    """A sentence for every variant with a reference: what was measured, and whether it confirms the paper."""
    found = compared_variants(folder)
    for one in found:
        test, variant = one.paired, one.variant
        if test is None:
            continue
        means = f"{variant.model}, {variant.name}: {_points(test.difference)} points"
        if test.count < 2:
            yield f"{means}; one seed, so nothing can be tested."
            continue
        interval = f" [{_points(test.low)}, {_points(test.high)}]" if not math.isnan(test.low) else ""
        chance = "no difference in any seed" if math.isnan(one.p) else f"p {_p(one.p)}"
        yield f"{means}{interval}, {chance}: {_verdict(one)}."
    if any(one.published is not None for one in found) and dataset_note(folder.definition).generated:
        yield "The data are generated: that signs agree with the paper's says nothing of the paper's data."


def variants_csv(folder: StudyFolder) -> str:
    """One line per variant and seed, with all test scores in [0, 1]."""
    found = [one.variant for one in compared_variants(folder)]
    keys = param_keys(folder)
    names = sorted({name for variant in found for scores in variant.test.values() for name in scores})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    objective = next(iter(folder.definition.sweep.objectives))
    writer.writerow(
        ["trial", "model", "variant", *keys, "seed", f"val/{objective}", *(f"test/{name}" for name in names)]
    )
    for variant in found:
        params = [value_text(variant.params[key]) if key in variant.params else "" for key in keys]
        for seed, scores in sorted(variant.test.items()):
            own = [variant.trial, variant.model, variant.name, *params, seed, variant.validation.get(seed, math.nan)]
            writer.writerow([*own, *(scores.get(name, math.nan) for name in names)])
    return text.getvalue()


def _variants(folder: StudyFolder) -> Iterator[Variant]:
    definition, tested = folder.definition, folder.ledger.tested
    own_model = definition.base.model.name
    names = short_names([key for key in param_keys(folder) if key not in (ABLATE, MODEL)])
    for trial in folder.ledger.trials.values():
        scores = {seed: tested[trial.number, seed] for seed in trial.runs if (trial.number, seed) in tested}
        if trial.state == "complete" and scores:
            model = trial.params.get(MODEL, own_model)
            yield Variant(
                trial=trial.number,
                model=model,
                name=_name(trial, names),
                params=trial.params,
                validation=seed_values(trial, 0),
                test=scores,
                published=_published(definition.base.published.get(model, {}), trial.params),
                reference=_is_reference(trial.params, definition.config),
            )


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


def _is_reference(params: Mapping[str, Any], sections: Mapping[str, Any]) -> bool:
    """Whether nothing but the base model is changed; the whole framework, whatever the configuration says."""
    wanted = {key: value for key, value in params.items() if key not in (MODEL, ABLATE)}
    same = all(value_at(sections, key) == value for key, value in wanted.items())
    return same and params.get(ABLATE, "none") == "none"


def _published(paper: Mapping[str, Any], params: Mapping[str, Any]) -> float | None:
    """The paper's WF1 where a variant is one of its rows."""
    changed = params.keys() - {MODEL}
    found = None
    if changed == {ABLATE}:
        found = paper.get("table4", {}).get(params[ABLATE])
        if params[ABLATE] == "base":
            found = paper.get("table3", {}).get("base", {}).get("wf1")
    elif changed == {WINDOW}:
        found = paper.get("table5_window", {}).get(str(params[WINDOW]))
    return None if found is None else found / 100


def _against(variant: Variant, reference: Variant | None) -> Paired | None:
    if reference is None or variant.reference or not variant.wf1.keys() & reference.wf1.keys():
        return None
    return paired(variant.wf1, reference.wf1)


def _row(one: Compared, *, published: bool) -> tuple[str, ...]:
    variant, test = one.variant, one.paired
    wa = [scores["wa"] for scores in variant.test.values()]
    measured = [WF1.mean_text(list(variant.wf1.values())), WA.mean_text(wa)]
    row = [variant.model, variant.name, str(len(variant.test)), *measured]
    row += _tested(test, one.p)
    if published:
        row.append("–" if variant.published is None else WF1.number(variant.published))
        row.append("–" if one.published is None else _points(one.published))
    return tuple(row)


def _tested(test: Paired | None, p: float) -> list[str]:
    if test is None:
        return ["–"] * 4
    interval = "–" if math.isnan(test.low) else f"[{_points(test.low)}, {_points(test.high)}]"
    effect = "–" if math.isnan(test.effect) else f"{test.effect:.2f}"
    return [_points(test.difference), interval, _p(p), effect]


def _points(difference: float) -> str:
    """Percentage points with their sign, as the paper rounds."""
    return f"{100 * difference:+.2f}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _verdict(one: Compared) -> str:
    assert one.paired is not None
    significant = one.p < SIGNIFICANT
    if one.published is None:
        return "significant" if significant else "not significant"
    same = one.paired.difference * one.published > 0
    paper = f"the paper's {_points(one.published)}"
    if same:
        return f"{paper} is confirmed" if significant else f"the direction of {paper}, but not significant"
    return f"{paper} is contradicted" if significant else f"{paper} is not confirmed"
