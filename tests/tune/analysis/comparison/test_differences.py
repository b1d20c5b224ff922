"""Which variant meets which reference, with numbers worked out by hand and by scipy."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from tests.tune.analysis.comparison.studies import (
    add_tested,
    comparison,
    planned_main,
    preset,
    window_study,
    with_paper,
)
from tests.tune.study.samples import BASE
from tune.analysis.comparison.differences import Difference, against_base, compared_variants
from tune.analysis.comparison.study import comparison_lines, study_tables
from tune.analysis.comparison.variants import variants_of
from tune.analysis.table import Table
from tune.comparisons import ablation, grid
from tune.config.sweep_settings import SweepSettings
from tune.report.comparison.export import variants_csv
from tune.report.facts import report_facts
from tune.study.folder import StudyFolder


def test_parts_are_compared_with_the_whole_framework(ablations: StudyFolder) -> None:
    variants = {one.variant.name: one for one in compared_variants(ablations)}
    assert list(variants) == ["DCLF", "w/o CACL", "w/o MCCL", "base model"], "as the space has them"
    assert variants["DCLF"].paired is None
    cacl, base = variants["w/o CACL"], variants["base model"]
    assert cacl.paired is not None
    assert base.paired is not None
    assert cacl.paired.difference == pytest.approx(-0.03)
    first = stats.ttest_rel([0.66, 0.68, 0.70], [0.70, 0.71, 0.72]).pvalue
    second = stats.ttest_rel([0.60, 0.62, 0.61], [0.70, 0.71, 0.72]).pvalue
    # Two tests: without MCCL every seed differs by the same, and there is nothing to test.
    assert base.p == pytest.approx(2 * second, abs=1e-12)
    assert cacl.p == pytest.approx(max(first, 2 * second), abs=1e-12)
    assert cacl.published == pytest.approx(-0.0212)


def test_table_3_turns_it_round(ablations: StudyFolder) -> None:
    base, whole = against_base(ablations)
    assert (base.variant.name, whole.variant.name) == ("base model", "DCLF"), "the paper has it first"
    assert base.paired is None
    assert whole.paired is not None
    test = stats.ttest_rel([0.70, 0.71, 0.72], [0.60, 0.62, 0.61])
    interval = test.confidence_interval(0.95)
    assert whole.paired.difference == pytest.approx(0.1)
    assert (whole.paired.low, whole.paired.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert whole.paired.effect == pytest.approx(test.statistic / 3**0.5)
    assert whole.published == pytest.approx(0.0467)


def p_values(differences: Sequence[Difference]) -> dict[frozenset[str], set[float]]:
    """Pair of variants -> every p-value that is told of it."""
    by_pair: dict[frozenset[str], set[float]] = {}
    for one in differences:
        if one.reference is not None:
            by_pair.setdefault(frozenset((one.variant.name, one.reference.name)), set()).add(one.p)
    return by_pair


@pytest.mark.parametrize("layout", ["", "variants", "main"])
def test_a_pair_has_one_p_value_whichever_table_shows_it(ablations: StudyFolder, layout: str) -> None:
    ablations.definition = replace(ablations.definition, plan={"layout": layout})
    by_pair = p_values([*compared_variants(ablations), *against_base(ablations)])
    assert frozenset(("base model", "DCLF")) in by_pair
    assert {len(ps) for ps in by_pair.values()} == {1}
    tables = study_tables(ablations)
    cells = [row[head.index("p")] for head, row in rows_of_pair(tables, "base model", "DCLF")]
    assert len(set(cells)) == 1, "in every table that has the pair"


def rows_of_pair(tables: Mapping[str, Table], *names: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Head and row of every test between two variants, in the tables of scores."""
    for name in ("variants", "main"):
        if name in tables:
            rows = {row[1]: row for row in tables[name].rows}
            (untested,) = [one for one in rows if rows[one][tables[name].head.index("difference")] == "–"]
            (other,) = set(names) - {untested}
            yield tables[name].head, rows[other]


def test_a_family_is_one_base_models(tmp_path: Path) -> None:
    """Another base model's tests change nothing; within one, Holm's correction counts all comparisons."""
    parts = {"none": [0.70, 0.71, 0.73], "no_cacl": [0.66, 0.68, 0.70], "base": [0.60, 0.62, 0.61]}
    alone = comparison(tmp_path / "alone", ablation(models=["mmgcn"], parts=["no_cacl", "base"], seeds=3))
    both = comparison(tmp_path / "both", ablation(models=["mmgcn", "ddin"], parts=["no_cacl", "base"], seeds=3))
    for part, wf1 in parts.items():
        add_tested(alone, {"model.name": "mmgcn", "loss.ablate": part}, wf1)
        add_tested(both, {"model.name": "mmgcn", "loss.ablate": part}, wf1)
        add_tested(both, {"model.name": "ddin", "loss.ablate": part}, [x - 0.1 * x * x for x in wf1])
    ps = {one.variant.name: (one.p, one.family) for one in compared_variants(alone) if one.paired}
    mine = [one for one in compared_variants(both) if one.variant.model == "mmgcn" and one.paired]
    assert {one.variant.name: (one.p, one.family) for one in mine} == ps
    raw = {part: stats.ttest_rel(parts[part], parts["none"]).pvalue for part in ("no_cacl", "base")}
    assert ps["base model"] == (pytest.approx(2 * raw["base"]), 2)
    assert ps["w/o CACL"] == (pytest.approx(max(2 * raw["base"], raw["no_cacl"])), 2)


def test_table_3_takes_the_base_model_that_differs_in_nothing_else(tmp_path: Path) -> None:
    space = {"loss.window": {"choices": [4, 10]}, "loss.ablate": {"choices": ["none", "base"]}}
    folder = comparison(tmp_path, grid(space, seeds=3))
    for window, part, low in ((10, "none", 0.7), (10, "base", 0.6), (4, "none", 0.5), (4, "base", 0.3)):
        wf1 = [low, low + 0.01 * (window == 4), low + 0.02]
        add_tested(folder, {"loss.window": window, "loss.ablate": part}, wf1)
    base, whole = against_base(folder)
    assert [one.variant.params["loss.window"] for one in (base, whole)] == [10, 10], "the configuration's own"
    assert whole.paired is not None
    assert whole.paired.difference == pytest.approx(0.1)


def test_sides_that_no_other_is_compared_with_have_a_family_of_their_own(tmp_path: Path, shards: Path) -> None:
    listed = [("DCLF", "none", False), ("base", "base", False), ("w/o CE", "no_ce", True)]
    variants = [
        {"name": name, "model": "mmgcn", "params": {"loss.ablate": part}, "reference": reference}
        for name, part, reference in listed
    ]
    folder = comparison(tmp_path, ablation(seeds=3), with_paper(shards), kind="study", variants=variants)
    for part, wf1 in (("none", [0.7, 0.71, 0.73]), ("base", [0.6, 0.62, 0.61]), ("no_ce", [0.65, 0.66, 0.68])):
        add_tested(folder, {"loss.ablate": part}, wf1)
    _, whole = against_base(folder)
    assert (whole.family, whole.reference is not None and whole.reference.name) == (1, "base")
    assert whole.p == pytest.approx(stats.ttest_rel([0.7, 0.71, 0.73], [0.6, 0.62, 0.61]).pvalue)
    by_pair = p_values([*compared_variants(folder), *against_base(folder)])
    assert len(by_pair) == 3
    assert {len(ps) for ps in by_pair.values()} == {1}


def test_every_base_model_has_its_own_reference(tmp_path: Path) -> None:
    folder = comparison(tmp_path, ablation(models=["mmgcn", "ddin"], parts=["base"], seeds=2))
    for model, gain in (("mmgcn", 0.1), ("ddin", 0.2)):
        add_tested(folder, {"model.name": model, "loss.ablate": "base"}, [0.5, 0.51])
        add_tested(folder, {"model.name": model, "loss.ablate": "none"}, [0.5 + gain, 0.52 + gain])
    tests = [(one.variant.model, one.variant.name, one.paired) for one in compared_variants(folder)]
    assert [(model, name) for model, name, _ in tests] == [
        ("mmgcn", "DCLF"),
        ("mmgcn", "base model"),
        ("ddin", "DCLF"),
        ("ddin", "base model"),
    ]
    assert [round(test.difference, 6) for *_, test in tests if test is not None] == [-0.105, -0.205]


def test_a_grid_is_compared_with_the_configuration_where_it_is_one_of_them(tmp_path: Path) -> None:
    folder = window_study(tmp_path, with_paper(), (2, 4, BASE.loss.window))
    differences = compared_variants(folder)
    assert [one.variant.name for one in differences] == ["window 2", "window 4", "window 10"]
    assert [one.variant.reference for one in differences] == [False, False, True]
    assert [one.variant.published.get("wf1") for one in differences] == [70.29 / 100, 71.05 / 100, None]


@pytest.mark.parametrize(("model", "default"), [("mmgcn", 4), ("ddin", None)])
def test_an_option_at_its_default_is_the_configuration_itself(tmp_path: Path, model: str, default: int | None) -> None:
    """MMGCN has four layers unless told otherwise; DDIN has no such option, and so no reference."""
    space = {"model.name": {"choices": [model]}, "model.options.layers": {"choices": [2, 4]}}
    folder = comparison(tmp_path, grid(space, seeds=2))
    for layers in (2, 4):
        add_tested(folder, {"model.name": model, "model.options.layers": layers}, [0.6, 0.6 + layers / 100])
    references = [one.params["model.options.layers"] for one in variants_of(folder) if one.reference]
    assert references == ([] if default is None else [default])


def test_a_study_file_names_its_variants(tmp_path: Path, shards: Path) -> None:
    variants: list[dict[str, Any]] = [
        {"name": "long", "model": "mmgcn", "params": {"loss.window": 8}, "reference": False, "published": {"wf1": 70}},
        {"name": "short", "model": "mmgcn", "params": {"loss.window": 2}, "reference": True, "published": {"wf1": 68}},
        {"name": "failed", "model": "mmgcn", "params": {"loss.window": 3}, "reference": False, "published": {}},
    ]
    settings = grid({"loss.window": {"choices": [2, 3, 8]}}, seeds=2)
    folder = comparison(tmp_path, settings, with_paper(shards), kind="study", variants=variants)
    add_tested(folder, {"loss.window": 2}, [0.5, 0.6])
    add_tested(folder, {"loss.window": 8}, [0.6, 0.72])
    differences = compared_variants(folder)
    assert [(one.variant.name, one.variant.published) for one in differences] == [
        ("long", {"wf1": 0.7}),
        ("short", {"wf1": 0.68}),
    ]
    assert differences[0].paired is not None
    assert differences[0].paired.difference == pytest.approx(0.11)
    assert differences[0].published == pytest.approx(0.02)
    reopened = StudyFolder.open(tmp_path, folder.definition.name)
    assert compared_variants(reopened) == differences


def test_the_layout_of_table_3_takes_the_rest_of_the_papers_row(tmp_path: Path, shards: Path) -> None:
    folder = planned_main(tmp_path, preset("iemocap", shards))
    published = {(one.model, one.name): one.published for one in variants_of(folder)}
    assert published["ddin", "DCLF"]["f1/happy"] == pytest.approx(0.5467)
    assert published["mmgcn", "base"]["accuracy/sad"] == pytest.approx(0.6916)
    assert published["mmgcn", "base"]["shift/wf1"] == pytest.approx(0.5835)
    assert [one.variant.name for one in compared_variants(folder) if one.paired] == ["DCLF", "DCLF"]


def test_a_search_has_no_variants(tmp_path: Path) -> None:
    folder = comparison(tmp_path, SweepSettings(space={"loss.window": {"choices": [2, 4]}}))
    add_tested(folder, {"loss.window": 2}, [0.7])
    assert compared_variants(folder) == []
    assert study_tables(folder) == {}
    assert list(comparison_lines(folder)) == []
    assert report_facts(folder, "best.yaml").tables == {}


def test_the_csv_has_every_variant_and_seed(ablations: StudyFolder) -> None:
    lines = list(csv.DictReader(io.StringIO(variants_csv(ablations))))
    assert len(lines) == 12
    assert {line["seed"] for line in lines} == {"0", "1", "2"}
    (one,) = [line for line in lines if line["loss.ablate"] == "no_cacl" and line["seed"] == "1"]
    assert (float(one["test/wf1"]), float(one["val/wf1"]), one["variant"]) == (0.68, 0.68 + 0.01, "w/o CACL")
