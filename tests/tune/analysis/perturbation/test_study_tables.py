"""Tables and sentences over a study's perturbation tests: numbers by hand, the paper's beside them."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from dclf.config import Config, DataConfig
from dclf.data import generate, write_shards
from dclf.perturb import Corruption
from tests.tune.analysis.comparison.studies import model_scores
from tests.tune.analysis.perturbation.studies import new_study
from tune.analysis.perturbation.files import load_study_perturbations, write_scores
from tune.analysis.perturbation.scores import ConditionScore
from tune.analysis.perturbation.settings import PerturbationSettings
from tune.analysis.perturbation.study_tables import (
    damage_table,
    perturbation_sentences,
    perturbation_table,
    perturbations_csv,
    perturbed_variants,
)
from tune.comparisons import ablation, grid
from tune.config.sweep_settings import SweepSettings
from tune.study.folder import StudyFolder

PAPER = {
    "mmgcn": {
        "table6": {
            "base": {"raw": 67.4, "eccs": 63.7, "eics": 53.3},
            "dclf": {"raw": 72.07, "eccs": 69.91, "eics": 66.26},
        }
    }
}
BASE = Config(data=DataConfig(shards="shards/demo"), published=PAPER)
REQUEST: dict[str, Any] = {
    "settings": json.loads(json.dumps(asdict(PerturbationSettings(draws=2)))),
    "shards_sha256": "0" * 64,
}
# Per seed: raw, ECCS, and EICS of two draws.
BASE_SEEDS = [(0.60, 0.59, (0.40, 0.42)), (0.62, 0.60, (0.42, 0.44)), (0.61, 0.62, (0.40, 0.40))]
DCLF_SEEDS = [(0.70, 0.70, (0.60, 0.62)), (0.71, 0.70, (0.63, 0.61)), (0.72, 0.71, (0.60, 0.64))]
BASE_DROPS, DCLF_DROPS = [0.19, 0.19, 0.21], [0.09, 0.09, 0.10]


def add(
    folder: StudyFolder,
    params: dict[str, Any],
    seeds: Sequence[Any],
    damage: float | None = None,
    request: Mapping[str, Any] = REQUEST,
    first_seed: int = 0,
) -> None:
    """A complete trial, scored on test, and the perturbation tests of its seeds."""
    number = folder.ledger.create(params).number
    folder.ledger.start(number, first_seed)
    for seed, (raw, eccs, eics) in enumerate(seeds, first_seed):
        folder.ledger.run(number, seed, f"run{number}s{seed}")
        folder.ledger.seed_done(number, seed, (raw,), 2)
        folder.ledger.test(number, seed, {"wf1": raw, "wa": raw})
        conditions = [
            ConditionScore(kind="eccs", values=(eccs, eccs), raw=raw),
            ConditionScore(kind="eics", values=tuple(eics), raw=raw),
        ]
        if damage is not None:
            lost = ConditionScore(kind="missing", modality="text", share=0.5, values=(raw - damage,), raw=raw)
            conditions.append(lost)
        keep(folder, number, seed, conditions, request)
    folder.ledger.end(number, "complete", (0.5,))


def keep(
    folder: StudyFolder,
    number: int,
    seed: int,
    conditions: Sequence[ConditionScore],
    request: Mapping[str, Any] = REQUEST,
) -> None:
    about = {"dataset": "generated-iemocap", "utterances": 200}
    scores = model_scores(folder, number, seed, request, tuple(conditions), **about)
    write_scores(scores)
    (scores.folder.parent / "test.json").write_text(json.dumps(request), encoding="utf-8")


def study(storage: Path, settings: SweepSettings, base: Config = BASE) -> StudyFolder:
    return new_study(storage, "parts", base.to_dict(), settings)


@pytest.fixture
def parts(tmp_path: Path) -> StudyFolder:
    folder = study(tmp_path, ablation(parts=["base"], seeds=3))
    add(folder, {"loss.ablate": "base"}, BASE_SEEDS)
    add(folder, {"loss.ablate": "none"}, DCLF_SEEDS)
    return folder


def test_drops_are_compared_seed_by_seed(parts: StudyFolder) -> None:
    dclf, base = perturbed_variants(parts)
    assert (dclf.variant.part, base.variant.part) == ("none", "base"), "in the order of the study's other tables"
    assert base.against is None
    assert dclf.against is not None
    test = dclf.against.paired
    assert test is not None
    expected = stats.ttest_rel(DCLF_DROPS, BASE_DROPS)
    interval = expected.confidence_interval(0.95)
    assert test.difference == pytest.approx(-0.31 / 3, abs=1e-12)
    assert (test.p, test.low, test.high) == pytest.approx((expected.pvalue, interval.low, interval.high), abs=1e-12)
    assert dclf.drop("eics") == pytest.approx(0.28 / 3)
    assert dclf.paper_drop("eics") == pytest.approx(0.0581)


def test_the_table_has_the_papers_form_and_numbers(parts: StudyFolder) -> None:
    table = perturbation_table(parts)
    assert table is not None
    assert table.title.startswith(
        "WF1 (%) of study parts on the test split of generated-iemocap (200 utterances), raw and "
    )
    assert table.title.endswith("substituted contexts (2 draws with seed 0)")
    assert table.head[:6] == ("model", "variant", "seeds", "raw", "ECCS", "EICS")
    rows = {row[1]: row for row in table.rows}
    assert rows["base model"][2:6] == ("3", "61.00 ± 1.00", "60.33 ± 1.53 (↓0.67)", "41.33 ± 1.53 (↓19.67)")
    assert rows["base model"][6:] == ("–", "–", "–", "67.40", "63.70 (↓3.70)", "53.30 (↓14.10)")
    assert rows["DCLF"][6] == "-10.33"
    assert rows["DCLF"][9:] == ("72.07", "69.91 (↓2.16)", "66.26 (↓5.81)")
    assert {len(row) for row in table.rows} == {len(table.head)}


def test_several_tests_are_corrected(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(parts=["no_cacl", "base"], seeds=3))
    add(folder, {"loss.ablate": "base"}, BASE_SEEDS)
    add(folder, {"loss.ablate": "none"}, DCLF_SEEDS)
    add(
        folder,
        {"loss.ablate": "no_cacl"},
        [(0.7, 0.7, (0.55, 0.55)), (0.7, 0.7, (0.52, 0.52)), (0.7, 0.7, (0.53, 0.53))],
    )
    variants = {one.variant.part: one for one in perturbed_variants(folder)}
    first = stats.ttest_rel(DCLF_DROPS, BASE_DROPS).pvalue
    second = stats.ttest_rel([0.15, 0.18, 0.17], BASE_DROPS).pvalue
    assert first < second
    assert variants["none"].against is not None
    assert variants["no_cacl"].against is not None
    assert variants["none"].against.p == pytest.approx(2 * first, abs=1e-12)
    assert variants["no_cacl"].against.p == pytest.approx(max(2 * first, second), abs=1e-12)
    assert variants["no_cacl"].paper == {}
    assert len(perturbation_sentences(folder)) == 1, "for the whole framework alone"


def test_a_sentence_per_model(parts: StudyFolder) -> None:
    (sentence,) = perturbation_sentences(parts)
    assert sentence.startswith(
        "mmgcn: with DCLF the EICS drop shrinks by 53 %, from 19.67 to 9.33 points (-10.33; 95 % "
    )
    assert sentence.endswith(", 3 seeds); the paper's goes from 14.10 to 5.81.")


def test_a_grid_s_sentences_are_of_the_pairs_that_are_tested(tmp_path: Path) -> None:
    rates = {"loss.ablate": {"choices": ["none", "base"]}, "train.lr": {"choices": [3e-4, 1e-3]}}
    folder = study(tmp_path, grid(rates, seeds=3), replace(BASE, published={}))
    add(folder, {"loss.ablate": "none", "train.lr": 3e-4}, seeds_of(0.1, 0.1, 0.1))
    add(folder, {"loss.ablate": "none", "train.lr": 1e-3}, seeds_of(0.2, 0.2, 0.2))
    add(folder, {"loss.ablate": "base", "train.lr": 3e-4}, seeds_of(0.3, 0.3, 0.3))
    # The last base model shares no seed with any other.
    add(folder, {"loss.ablate": "base", "train.lr": 1e-3}, seeds_of(0.4, 0.4, 0.4), first_seed=7)
    first, second = perturbation_sentences(folder)
    assert first.startswith("mmgcn: with DCLF, lr 0.0003 the EICS drop shrinks, from 30.00 to 10.00 points (-20.00;")
    assert second.startswith("mmgcn: with DCLF, lr 0.001 the EICS drop shrinks, from 30.00 to 20.00 points (-10.00;")


def test_generated_data_are_told(tmp_path: Path) -> None:
    info, dialogues = generate("iemocap-small", 8, 1)
    write_shards(dialogues, tmp_path / "shards", info)
    base = replace(BASE, data=DataConfig(shards=str(tmp_path / "shards")))
    folder = study(tmp_path, ablation(parts=["base"], seeds=1), base)
    add(folder, {"loss.ablate": "base"}, BASE_SEEDS[:1])
    add(folder, {"loss.ablate": "none"}, DCLF_SEEDS[:1])
    one, data = perturbation_sentences(folder)
    assert "(-10.00; one seed, so nothing can be tested); the paper's" in one
    assert data == "The data are generated: that drops are like the paper's says nothing of the paper's data."


def test_a_drop_that_grows_is_said_to(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(parts=["base"], seeds=3), replace(BASE, published={}))
    add(folder, {"loss.ablate": "none"}, BASE_SEEDS)
    add(folder, {"loss.ablate": "base"}, DCLF_SEEDS)
    (sentence,) = perturbation_sentences(folder)
    assert "the EICS drop grows by 111 %, from 9.33 to 19.67 points (+10.33; " in sentence
    assert sentence.endswith(", 3 seeds).")
    table = perturbation_table(folder)
    assert table is not None
    assert table.head[-1] == "p", "nothing published, no columns for it"


def seeds_of(*drops: float) -> list[tuple[float, float, tuple[float, float]]]:
    """Seeds with these EICS drops from 70 %."""
    return [(0.7, 0.7, (0.7 - drop, 0.7 - drop)) for drop in drops]


@pytest.mark.parametrize(
    ("base", "dclf", "words"),
    [
        (
            (0.02, -0.015, 0.0028),
            (0.03, 0.01, 0.02),
            "with DCLF the EICS drop grows, from 0.26 to 2.00 points (+1.74; 95 % interval [",
        ),
        (
            (0.19, 0.21),
            (0.09, 0.11),
            "with DCLF the EICS drop shrinks, from 20.00 to 10.00 points (-10.00; two seeds, so",
        ),
        (
            (-0.01, -0.02, -0.03),
            (0.05, 0.06, 0.08),
            "under EICS WF1 falls by 6.33 points with DCLF and rises by 2.00 without (+8.33; 95 % interval [",
        ),
        (
            (0.19, 0.2, 0.21),
            (-0.01, -0.02, 0.0),
            "under EICS WF1 rises by 1.00 points with DCLF and falls by 20.00 without (-21.00; 95 % interval [",
        ),
        (
            (0.1, 0.2, 0.3),
            (0.2, 0.3, 0.1),
            "with DCLF the EICS drop stays at 20.00 points (0.00; 95 % interval [",
        ),
    ],
)
def test_a_sentence_says_what_happened(
    tmp_path: Path, base: Sequence[float], dclf: Sequence[float], words: str
) -> None:
    """Percentages of a drop that is beyond its own uncertainty alone, and no drop below zero that grows."""
    folder = study(tmp_path, ablation(parts=["base"], seeds=len(base)), replace(BASE, published={}))
    add(folder, {"loss.ablate": "base"}, seeds_of(*base))
    add(folder, {"loss.ablate": "none"}, seeds_of(*dclf))
    (sentence,) = perturbation_sentences(folder)
    assert words in sentence
    assert " by -" not in sentence
    assert sentence.count("%") == sentence.count("95 %")


def test_the_table_says_which_tests_are_a_family(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(models=["mmgcn", "ddin"], parts=["base", "no_cacl"], seeds=3))
    for model in ("mmgcn", "ddin"):
        add(folder, {"model.name": model, "loss.ablate": "base"}, seeds_of(0.19, 0.2, 0.22))
        add(folder, {"model.name": model, "loss.ablate": "no_cacl"}, seeds_of(0.15, 0.18, 0.17))
        add(folder, {"model.name": model, "loss.ablate": "none"}, seeds_of(0.1, 0.12, 0.1))
    table = perturbation_table(folder)
    assert table is not None
    assert table.note == (
        "Reference: base model. Differences in EICS drops in points, over shared seeds. p: two-sided paired t-tests, "
        "with Holm's correction over the 2 tests of EICS drops that this study has for each base model."
    )
    tests = {one.variant.part: one.against for one in perturbed_variants(folder) if one.variant.model == "ddin"}
    first = stats.ttest_rel([0.1, 0.12, 0.1], [0.19, 0.2, 0.22]).pvalue
    assert tests["none"] is not None
    assert tests["none"].p == pytest.approx(2 * first, abs=1e-9), "the other base model's tests do not count"


def test_no_drop_has_no_arrow(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(parts=["base"], seeds=3))
    add(folder, {"loss.ablate": "none"}, [(0.7, 0.7, (0.71, 0.71)), (0.7, 0.70001, (0.7, 0.7))])
    table = perturbation_table(folder)
    assert table is not None
    assert table.rows[0][4:6] == ("70.00 ± 0.00 (0.00)", "70.50 ± 0.71 (↑0.50)")


def test_a_study_file_brings_its_own_numbers(tmp_path: Path) -> None:
    settings = ablation(parts=["base"], seeds=3)
    published = {"raw": 62.2, "eccs": 60.0, "eics": 30.5}
    variants = [
        {"name": "DialogueRNN", "model": "dialogue_rnn", "params": {"loss.ablate": "base"}, "published": published}
    ]
    plain = study(tmp_path / "made", settings)
    folder = StudyFolder.create(tmp_path, replace(plain.definition, variants=variants))
    add(folder, {"loss.ablate": "base"}, BASE_SEEDS)
    table = perturbation_table(folder)
    assert table is not None
    (row,) = table.rows
    assert row[:2] == ("dialogue_rnn", "DialogueRNN")
    assert row[-3:] == ("62.20", "60.00 (↓2.20)", "30.50 (↓31.70)")
    assert perturbation_sentences(folder) == []


def test_a_grid_is_no_row_of_the_papers(tmp_path: Path) -> None:
    folder = study(tmp_path, grid({"loss.window": {"choices": [2, 4]}}, seeds=3))
    add(folder, {"loss.window": 2}, DCLF_SEEDS)
    table = perturbation_table(folder)
    assert table is not None
    assert table.head == ("model", "variant", "seeds", "raw", "ECCS", "EICS")


def test_damages_have_a_table_of_their_own(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(parts=["base"], seeds=3))
    lost = Corruption(damage="missing", modalities=("text",), share=0.5, seed=3)
    settings = asdict(PerturbationSettings(draws=2, corruptions=(lost,)))
    add(folder, {"loss.ablate": "none"}, DCLF_SEEDS, damage=0.05, request={**REQUEST, "settings": settings})
    table = damage_table(folder)
    assert table is not None
    assert table.head == ("model", "variant", "utterances hit", "raw", "text, missing")
    assert table.title.endswith("raw and damaged modalities (masks of seed 3)"), "the damage's own, not the test's"
    assert table.rows == (("mmgcn", "DCLF", "50 %", "71.00 ± 1.00", "66.00 ± 1.00 (↓5.00)"),)
    lines = list(csv.DictReader(io.StringIO(perturbations_csv(folder))))
    assert len(lines) == 3 * 4
    assert float(lines[3]["wf1"]) == pytest.approx(0.65)
    assert (lines[3]["condition"], lines[3]["modality"], lines[3]["share"]) == ("text-missing-50", "text", "0.5")
    assert float(lines[2]["wf1_std"]) == pytest.approx(0.0141421356)


def test_one_seed_has_its_deviation_over_draws(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(parts=["base"], seeds=1))
    add(folder, {"loss.ablate": "base"}, BASE_SEEDS[:1])
    add(folder, {"loss.ablate": "none"}, DCLF_SEEDS[:1])
    table = perturbation_table(folder)
    assert table is not None
    rows = {row[1]: row[2:6] for row in table.rows}
    assert rows["DCLF"] == ("1", "70.00", "70.00 ± 0.00 (0.00)", "61.00 ± 1.41 (↓9.00)")
    assert table.note.startswith("One seed: ± is the deviation over draws and says nothing of training seeds. Refer")


def test_nothing_tested_is_nothing_said(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(parts=["base"], seeds=3))
    assert load_study_perturbations(folder) is None
    assert perturbation_table(folder) is None
    assert damage_table(folder) is None
    assert perturbation_sentences(folder) == []


def test_tests_that_were_asked_otherwise_are_left_out(parts: StudyFolder) -> None:
    other = {**REQUEST, "settings": {**REQUEST["settings"], "draws": 1}}
    keep(parts, 7, 0, [ConditionScore(kind="eics", values=(0.4,), raw=0.5)], other)
    assert load_study_perturbations(parts) is None
    assert perturbation_table(parts) is None


def test_reading_needs_neither_ray_nor_mlflow_nor_torch() -> None:
    code = (
        "import sys, tune.analysis.perturbation.study_tables\n"
        "print([m for m in ('torch', 'ray', 'mlflow', 'optuna', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
