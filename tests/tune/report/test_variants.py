"""Comparisons on the test split: which variant meets which reference, numbers by hand, the paper's beside them."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from dclf.config import Config
from dclf.data import generate, write_shards
from tests.tune.report.samples import BASE, add_trial
from tune.comparisons import ablation, grid
from tune.report.facts import report_facts
from tune.report.variants import compared_variants, shifts_table, variants_csv, variants_table, verdicts
from tune.search.settings import SweepSettings
from tune.study.folder import StudyDefinition, StudyFolder

PAPER = {
    "mmgcn": {
        "table3": {"base": {"wf1": 67.4}},
        "table4": {"none": 72.07, "no_cacl": 69.95, "no_mccl": 68.02},
        "table5_window": {"2": 70.29, "4": 71.05},
        "table7": {"dclf": {"whole": 72.07, "without_shift": 75.86, "with_shift": 65.47}},
    }
}

SHIFT = {"shift/wf1": 0.4, "no_shift/wf1": 0.8, "f1/sad": 0.5}


def study(storage: Path, settings: SweepSettings, base: Config = BASE) -> StudyFolder:
    definition = StudyDefinition(
        name="parts", kind="ablation", config=base.to_dict(), settings=settings.to_dict(), space=settings.space
    )
    return StudyFolder.create(storage, definition)


def add_tested(folder: StudyFolder, params: dict[str, Any], wf1: list[float]) -> None:
    trial = add_trial(folder, params, [[value + 0.01] for value in wf1])
    for seed, value in enumerate(wf1):
        folder.ledger.test(trial.number, seed, {**SHIFT, "wf1": value, "wa": value - 0.02})


@pytest.fixture
def ablations(tmp_path: Path) -> StudyFolder:
    folder = study(tmp_path, ablation(seeds=3), replace(BASE, published=PAPER))
    # Grids are trained in any order.
    add_tested(folder, {"loss.ablate": "base"}, [0.60, 0.62, 0.61])
    add_tested(folder, {"loss.ablate": "no_cacl"}, [0.66, 0.68, 0.70])
    add_tested(folder, {"loss.ablate": "none"}, [0.70, 0.71, 0.72])
    add_tested(folder, {"loss.ablate": "no_mccl"}, [0.71, 0.72, 0.73])
    return folder


def test_parts_are_compared_with_the_whole_framework(ablations: StudyFolder) -> None:
    found = {one.variant.name: one for one in compared_variants(ablations)}
    assert list(found) == ["DCLF", "w/o CACL", "w/o MCCL", "base model"], "as the space has them"
    assert found["DCLF"].paired is None
    cacl, base = found["w/o CACL"], found["base model"]
    assert cacl.paired is not None
    assert base.paired is not None
    assert cacl.paired.difference == pytest.approx(-0.03)
    first = stats.ttest_rel([0.66, 0.68, 0.70], [0.70, 0.71, 0.72]).pvalue
    second = stats.ttest_rel([0.60, 0.62, 0.61], [0.70, 0.71, 0.72]).pvalue
    # Two tests: without MCCL every seed differs by the same, and there is nothing to test.
    assert base.p == pytest.approx(2 * second, abs=1e-12)
    assert cacl.p == pytest.approx(max(first, 2 * second), abs=1e-12)
    assert cacl.published == pytest.approx(-0.0212)


def test_the_table_has_the_papers_numbers_beside_the_measured(ablations: StudyFolder) -> None:
    table = variants_table(ablations)
    assert table is not None
    rows = {row[1]: row for row in table.rows}
    assert rows["DCLF"][2:5] == ("3", "71.00 ± 1.00", "69.00 ± 1.00")
    assert rows["DCLF"][5:] == ("–", "–", "–", "–", "72.07", "–")
    assert rows["w/o CACL"][5] == "-3.00"
    assert rows["w/o CACL"][-2:] == ("69.95", "-2.12")
    assert rows["base model"][-2:] == ("67.40", "-4.67")


def test_verdicts_say_what_is_confirmed_and_what_is_not(ablations: StudyFolder) -> None:
    lines = dict(line.split(": ", 1) for line in verdicts(ablations))
    assert lines["mmgcn, base model"].startswith("-10.00 points [")
    assert lines["mmgcn, base model"].endswith("the paper's -4.67 is confirmed.")
    assert lines["mmgcn, w/o CACL"].endswith("p 0.0351: the paper's -2.12 is confirmed.")
    assert lines["mmgcn, w/o MCCL"] == "+1.00 points, no difference in any seed: the paper's -4.05 is not confirmed."


def test_the_report_and_the_csv_have_every_variant(ablations: StudyFolder) -> None:
    facts = report_facts(ablations, "best.yaml")
    assert facts.variants is not None
    assert len(facts.variants.rows) == 4
    assert any("is confirmed" in line for line in facts.result)
    assert any(line.startswith("All scores but the variants' are of the validation split") for line in facts.warnings)
    lines = list(csv.DictReader(io.StringIO(variants_csv(ablations))))
    assert len(lines) == 12
    assert {line["seed"] for line in lines} == {"0", "1", "2"}
    (one,) = [line for line in lines if line["loss.ablate"] == "no_cacl" and line["seed"] == "1"]
    assert (float(one["test/wf1"]), float(one["val/wf1"]), one["variant"]) == (0.68, 0.68 + 0.01, "w/o CACL")


def test_every_base_model_has_its_own_reference(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(models=["mmgcn", "ddin"], parts=["base"], seeds=2))
    for model, gain in (("mmgcn", 0.1), ("ddin", 0.2)):
        add_tested(folder, {"model.name": model, "loss.ablate": "base"}, [0.5, 0.51])
        add_tested(folder, {"model.name": model, "loss.ablate": "none"}, [0.5 + gain, 0.52 + gain])
    found = [(one.variant.model, one.variant.name, one.paired) for one in compared_variants(folder)]
    assert [(model, name) for model, name, _ in found] == [
        ("mmgcn", "DCLF"),
        ("mmgcn", "base model"),
        ("ddin", "DCLF"),
        ("ddin", "base model"),
    ]
    assert [round(test.difference, 6) for *_, test in found if test is not None] == [-0.105, -0.205]


def test_a_grid_is_compared_with_the_configuration_where_it_is_one_of_them(tmp_path: Path) -> None:
    settings = grid({"loss.window": {"choices": [2, 4, BASE.loss.window]}}, seeds=2)
    folder = study(tmp_path, settings, replace(BASE, published=PAPER))
    for window, wf1 in ((2, 0.6), (4, 0.62), (BASE.loss.window, 0.65)):
        add_tested(folder, {"loss.window": window}, [wf1, wf1 + 0.01 * window])
    found = compared_variants(folder)
    assert [one.variant.name for one in found] == ["window 2", "window 4", "window 10"]
    assert [one.variant.reference for one in found] == [False, False, True]
    assert [one.variant.published for one in found] == [70.29 / 100, 71.05 / 100, None]


def test_one_seed_gives_differences_without_tests(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(seeds=1))
    add_tested(folder, {"loss.ablate": "none"}, [0.7])
    add_tested(folder, {"loss.ablate": "base"}, [0.6])
    assert list(verdicts(folder)) == ["mmgcn, base model: -10.00 points; one seed, so nothing can be tested."]
    table = variants_table(folder)
    assert table is not None
    assert table.rows[1][5:] == ("-10.00", "–", "–", "–")


def test_a_search_has_no_variants(tmp_path: Path) -> None:
    folder = study(tmp_path, SweepSettings(space={"loss.window": {"choices": [2, 4]}}))
    add_tested(folder, {"loss.window": 2}, [0.7])
    assert compared_variants(folder) == []
    assert variants_table(folder) is None
    assert report_facts(folder, "best.yaml").variants is None


def test_generated_data_confirm_nothing_of_the_papers(tmp_path: Path) -> None:
    info, dialogues = generate("iemocap-small", seed=1)
    write_shards(dialogues, tmp_path / "shards", info)
    base = replace(BASE, published=PAPER, data=replace(BASE.data, shards=str(tmp_path / "shards")))
    folder = study(tmp_path, ablation(parts=["base"], seeds=2), base)
    add_tested(folder, {"loss.ablate": "none"}, [0.7, 0.72])
    add_tested(folder, {"loss.ablate": "base"}, [0.6, 0.61])
    assert list(verdicts(folder))[-1].startswith("The data are generated")


def test_emotion_shift_has_a_table_of_its_own(ablations: StudyFolder) -> None:
    table = shifts_table(ablations)
    assert table is not None
    assert table.head[:5] == ("model", "variant", "whole", "w/o shift", "w/ shift")
    assert table.head[5:] == ("paper whole", "paper w/o shift", "paper w/ shift")
    rows = {row[1]: row[2:] for row in table.rows}
    assert rows["DCLF"] == ("71.00 ± 1.00", "80.00 ± 0.00", "40.00 ± 0.00", "72.07", "75.86", "65.47")
    assert rows["base model"][3:] == ("–", "–", "–")


def test_scores_of_before_know_no_shift(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(parts=["base"], seeds=1))
    trial = add_trial(folder, {"loss.ablate": "none"}, [[0.7]])
    folder.ledger.test(trial.number, 0, {"wf1": 0.7, "wa": 0.7})
    table = shifts_table(folder)
    assert table is not None
    assert table.rows == (("mmgcn", "DCLF", "70.00", "–", "–"),)
