"""The page of a perturbation test: what it says, what it draws, and that nothing of an earlier test is left."""

import json
from pathlib import Path

import pytest

from tests.tune.analysis.comparison.studies import add_perturbed, model_scores, planned_main, preset
from tune.analysis.perturbation.files import PAGE, REQUEST, split_folder, write_scores
from tune.analysis.perturbation.scores import ConditionScore
from tune.analysis.perturbation.study import StudyTarget
from tune.analysis.perturbation.target import Target
from tune.config.local_files import save_text
from tune.report.perturbation_page import PageFacts, page_facts, write_test_page
from tune.study.folder import StudyFolder

SHARES = (0.1, 0.5, 0.9)


@pytest.fixture
def study(tmp_path: Path, shards: Path) -> StudyFolder:
    return planned_main(tmp_path, preset("iemocap", shards), seeds=3)


def target_of(study: StudyFolder, out: Path) -> Target:
    return StudyTarget(study, out / "perturbations")


def facts_of(study: StudyFolder, out: Path) -> PageFacts:
    target = target_of(study, out)
    scores = target.perturbations("test")
    assert scores is not None
    return page_facts(target, scores)


def add_damaged(study: StudyFolder, number: int, costs: float) -> None:
    """One seed of a trial whose text is missing more and more; WF1 falls by so much at each share."""
    request = {"settings": {"seed": 0, "draws": 1}}
    save_text(split_folder(study, "test") / REQUEST, json.dumps(request))
    damaged = tuple(
        ConditionScore(kind=kind, modality="text", share=share, values=(0.7 - costs * share,), raw=0.7)
        for kind in ("missing", "noise")
        for share in SHARES
    )
    write_scores(model_scores(study, number, 0, request, damaged))


def test_a_study_has_its_sentences_tables_and_curves(study: StudyFolder, tmp_path: Path) -> None:
    for number, drop in enumerate((0.20, 0.10, 0.15, 0.08)):
        drops = [drop, drop + 0.01 * (number + 1), drop]
        add_perturbed(study, number, [{"raw": 0.7, "eccs": 0.69, "eics": 0.7 - one} for one in drops])
    target = target_of(study, tmp_path)
    scores = target.perturbations("test")
    assert scores is not None
    files = write_test_page(target, scores)
    assert [file.name for file in files] == [PAGE, "contexts.svg", "contexts.png"]
    page = files[0].read_text(encoding="utf-8")
    assert "<h1>Perturbation test of study main on generated-iemocap-small, test split</h1>" in page
    assert "Scored: 12 of 12 trained models." in page
    assert "with DCLF the EICS drop shrinks" in page
    assert "must not be reported as results on it" in page
    assert "means over 3 seeds with their sample deviation" in page
    assert page.count("<svg") == 1


def test_one_seed_is_told_and_what_costs_most(study: StudyFolder, tmp_path: Path) -> None:
    add_damaged(study, 0, costs=0.2)
    facts = facts_of(study, tmp_path)
    assert facts.standing == "Scored: 1 of 12 trained models."
    assert facts.result[:2] == (
        "ddin, base: WF1 70.00 % on the raw split.",
        "ddin, base: of the damaged modalities text, missing, at 90 % costs most: 52.00 %.",
    )
    assert facts.warnings[0] == "Complete trainings of the study that this test has not scored yet: 11."
    assert facts.warnings[1].startswith("One seed per model")


def test_where_nothing_is_lost_nothing_costs_most(study: StudyFolder, tmp_path: Path) -> None:
    add_damaged(study, 0, costs=-0.1)
    assert facts_of(study, tmp_path).result[1] == "ddin, base: no damaged modality costs anything."


def test_every_damage_is_a_panel_that_begins_with_the_raw_score(study: StudyFolder, tmp_path: Path) -> None:
    add_damaged(study, 0, costs=0.2)
    target = target_of(study, tmp_path)
    scores = target.perturbations("test")
    assert scores is not None
    drawing = page_facts(target, scores).drawings["damage"]
    assert "one training seed, one mask per share." in drawing.caption
    panels = drawing.figure.axes
    assert [axes.get_title() for axes in panels] == ["text, missing", "text, noise"]
    x, y = panels[0].get_lines()[0].get_data()
    assert list(x) == [0, 10, 50, 90]
    assert list(y) == pytest.approx([70, 68, 60, 52])
    earlier = scores.folder / "contexts.svg"
    earlier.write_text("old", encoding="utf-8")
    write_test_page(target, scores)
    assert not earlier.exists(), "this test has no such figure"
