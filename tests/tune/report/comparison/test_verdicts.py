"""What the sentences say: confirmed or not on the paper's own data, signs and significance alone on any other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from tests.paper_data import write_like_paper
from tests.tune.report.comparison.studies import (
    ablation_study,
    add_tested,
    comparison,
    gamma_study,
    planned_main,
    preset,
    renamed_shards,
    window_study,
    with_paper,
)
from tune.comparisons import ablation
from tune.report.comparison.study import comparison_facts, comparison_lines, comparison_note
from tune.report.comparison.verdicts import OUTCOMES, verdicts
from tune.report.facts import best_note, report_facts
from tune.study.folder import StudyFolder


def sentences(folder: StudyFolder) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in comparison_lines(folder) if ": " in line)


def test_verdicts_say_what_is_confirmed_and_what_is_not(ablations: StudyFolder) -> None:
    lines = sentences(ablations)
    assert lines["mmgcn, base model"].startswith("-10.00 points [")
    assert lines["mmgcn, base model"].endswith("the paper's -4.67 is confirmed.")
    assert lines["mmgcn, w/o CACL"].endswith("p 0.0351: the paper's -2.12 is confirmed.")
    assert lines["mmgcn, w/o MCCL"] == "+1.00 points, the same in every seed: the paper's -4.05 is not confirmed."
    assert [one.outcome for one in verdicts(ablations)] == ["confirmed", "not confirmed", "confirmed", "not confirmed"]


def test_generated_data_confirm_and_contradict_nothing(tmp_path: Path, shards: Path) -> None:
    folder = ablation_study(tmp_path, with_paper(shards))
    lines = sentences(folder)
    assert lines["mmgcn, base model"].endswith("the same sign as the paper's -4.67, significant.")
    assert lines["mmgcn, w/o MCCL"].endswith("not the sign of the paper's -4.05, not significant.")
    text = " ".join(comparison_lines(folder))
    assert "confirmed" not in text
    assert "contradict" not in text
    assert list(comparison_lines(folder))[-1].startswith("The data are generated")
    assert {one.outcome for one in verdicts(folder)} <= set(OUTCOMES[4:])


def test_other_data_and_unknown_data_confirm_nothing(tmp_path: Path, shards: Path) -> None:
    other = ablation_study(tmp_path / "a", with_paper(renamed_shards(shards, tmp_path / "mine", "mine")))
    gone = ablation_study(tmp_path / "b", with_paper("nowhere"))
    for folder in (other, gone):
        assert "confirmed" not in " ".join(comparison_lines(folder))
    assert list(comparison_lines(other))[-1].startswith("The paper's numbers are of iemocap, these of mine data")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"utterances": 943}, "the test split has 943 utterances in 31 dialogues, the paper's 1,623 in 31"),
        ({"classes": 4}, "no utterance of the test split is excited or frustrated"),
        ({"class_names": tuple("abcdef")}, "the classes are a, b, c, d, e and f, in the paper angry, excited, frust"),
    ],
)
def test_a_name_alone_makes_no_data_the_papers(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    folder = ablation_study(tmp_path, with_paper(write_like_paper(tmp_path / "data", **changes)))
    *said, caveat = comparison_lines(folder)
    assert caveat.startswith(f"These data are called iemocap and are not the paper's: {words}")
    assert "confirmed" not in " ".join(said)
    assert comparison_facts(folder)["unlike_paper"][0].startswith(words)


def test_other_modalities_are_another_experiment(tmp_path: Path, own_data: Path) -> None:
    base = with_paper(own_data)
    text_alone = replace(base, data=replace(base.data, modalities=("text",)))
    *said, caveat = comparison_lines(ablation_study(tmp_path, text_alone))
    assert (
        caveat
        == "The paper's models read text, audio, visual, these text alone: agreement confirms nothing of the paper."
    )
    assert "confirmed" not in " ".join(said)


def test_a_gain_where_the_paper_has_a_loss_is_contradicted(tmp_path: Path, own_data: Path) -> None:
    folder = comparison(tmp_path, ablation(parts=["no_cacl"], seeds=3), with_paper(own_data))
    add_tested(folder, {"loss.ablate": "none"}, [0.60, 0.62, 0.61])
    add_tested(folder, {"loss.ablate": "no_cacl"}, [0.70, 0.71, 0.72])
    (one,) = verdicts(folder)
    assert one.sentence.endswith("the paper's -2.12 is contradicted.")
    assert one.outcome == "contradicted"


def test_one_seed_gives_differences_without_tests(tmp_path: Path) -> None:
    folder = comparison(tmp_path, ablation(seeds=1))
    add_tested(folder, {"loss.ablate": "none"}, [0.7])
    add_tested(folder, {"loss.ablate": "base"}, [0.6])
    assert list(comparison_lines(folder)) == ["mmgcn, base model: -10.00 points; one seed, so nothing can be tested."]


def test_the_gap_at_emotion_shifts_is_tested_against_the_base_model(tmp_path: Path, own_data: Path) -> None:
    folder = comparison(tmp_path, ablation(parts=["base"], seeds=3), with_paper(own_data))
    shifts = {"base": [0.50, 0.53, 0.51], "none": [0.60, 0.61, 0.63]}
    for part, found in shifts.items():
        add_tested(folder, {"loss.ablate": part}, [0.7, 0.7, 0.7], shift__wf1=found, no_shift__wf1=[0.8, 0.8, 0.8])
    said = sentences(folder)["mmgcn, emotion shift"]
    assert "below that elsewhere by 18.67 ± 1.53 points with DCLF, by 28.67 ± 1.53 without" in said
    p = stats.ttest_rel([0.8 - x for x in shifts["none"]], [0.8 - x for x in shifts["base"]]).pvalue
    assert f"p {p:.4f}: the paper's -3.86 is confirmed." in said


def test_grids_name_their_best_values(tmp_path: Path, shards: Path) -> None:
    windows = sentences(window_study(tmp_path, with_paper(shards), (2, 4, 8)))
    assert windows["mmgcn, best window"] == "W 8 with test WF1 64.50 ± 0.71 %; of these the paper's best is 4."
    weights = list(comparison_lines(gamma_study(tmp_path, with_paper(shards))))
    assert weights[0] == (
        "mmgcn, best weights: gamma_ca 0.5, gamma_mc 0.2 with test WF1 70.00 ± 1.41 %; the paper's best on IEMOCAP is "
        "at gamma_ca 0.8."
    )
    assert len(weights) == 2, "a sentence per cell would say less than the map"
    assert weights[1].startswith("The data are generated")


def test_before_the_first_test_score_the_page_says_so(tmp_path: Path, shards: Path) -> None:
    folder = comparison(tmp_path, ablation(seeds=2), with_paper(shards))
    assert list(comparison_lines(folder)) == [
        "No variant is scored on the test split yet; each is, once, when all of them are trained."
    ]
    assert best_note(folder).startswith("- No variant is scored")


def test_a_comparison_speaks_of_variants_and_not_of_a_best_trial(tmp_path: Path, shards: Path) -> None:
    folder = planned_main(tmp_path, preset("iemocap", shards))
    facts = report_facts(folder, "best.yaml")
    assert facts.title == "Table 3: Base models without and with DCLF, study main on generated-iemocap-small"
    assert (facts.comparison, facts.top, facts.front) == (None, None, None)
    assert not any("Best is trial" in line for line in facts.result)
    assert not any("dclf train" in command for _, command in facts.commands)
    assert any("none is chosen by its test score" in line for line in facts.warnings)
    note = best_note(folder)
    assert note == comparison_note(folder)
    assert note.count("\n| ") == 6, "head, rule and four rows of Table 3"


@pytest.mark.parametrize("dataset", ["iemocap", "meld"])
def test_a_confirmation_needs_the_papers_name(tmp_path: Path, shards: Path, dataset: str) -> None:
    like_paper = dataset == "iemocap"
    own = write_like_paper(tmp_path / dataset) if like_paper else renamed_shards(shards, tmp_path / dataset, dataset)
    base = with_paper(own)
    text = " ".join(comparison_lines(ablation_study(tmp_path, base)))
    assert ("is confirmed" in text) == (dataset == "iemocap")
