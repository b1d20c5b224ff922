"""What the sentences say: confirmed or not on the paper's own data, signs and significance alone on any other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from tests.paper_data import write_like_paper
from tests.tune.analysis.comparison.studies import (
    ablation_study,
    add_perturbed,
    add_tested,
    comparison,
    gamma_study,
    planned_main,
    preset,
    renamed_shards,
    window_study,
    with_paper,
)
from tune.analysis.comparison.study import (
    comparison_facts,
    comparison_lines,
    comparison_note,
    study_tables,
    study_verdicts,
)
from tune.analysis.comparison.verdicts import NOT_TESTED, OUTCOMES, verdicts
from tune.analysis.table import latex_table, markdown_table
from tune.commands.show_study import table_lines
from tune.comparisons import ablation, grid
from tune.report.facts import best_note, report_facts
from tune.study.folder import StudyFolder


def sentences(folder: StudyFolder) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in comparison_lines(folder) if ": " in line)


def test_verdicts_say_what_is_confirmed_and_what_is_not(ablations: StudyFolder) -> None:
    lines = sentences(ablations)
    assert lines["mmgcn, base model"].startswith("-10.00 points [")
    assert lines["mmgcn, base model"].endswith("the paper's -4.67 is confirmed.")
    assert lines["mmgcn, w/o CACL"].endswith("p 0.0351: the paper's -2.12 is confirmed.")
    assert lines["mmgcn, w/o MCCL"] == "+1.00 points, the same in every seed, so nothing can be tested."
    assert [one.outcome for one in verdicts(ablations)] == ["confirmed", "not tested", "confirmed"]


def test_generated_data_confirm_and_contradict_nothing(tmp_path: Path, shards: Path) -> None:
    folder = ablation_study(tmp_path, with_paper(shards))
    lines = sentences(folder)
    assert lines["mmgcn, base model"].endswith("the same sign as the paper's -4.67, significant.")
    assert lines["mmgcn, w/o MCCL"].endswith("the same in every seed, so nothing can be tested.")
    text = " ".join(comparison_lines(folder))
    assert "confirmed" not in text
    assert "contradict" not in text
    assert list(comparison_lines(folder))[-1].startswith("The data are generated")
    assert {one.outcome for one in verdicts(folder)} <= {*OUTCOMES[4:], NOT_TESTED}


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
    *lines, caveat = comparison_lines(folder)
    assert caveat.startswith(f"These data are called iemocap and are not the paper's: {words}")
    assert "confirmed" not in " ".join(lines)
    assert comparison_facts(folder)["unlike_paper"][0].startswith(words)


def test_other_modalities_are_another_experiment(tmp_path: Path, own_data: Path) -> None:
    base = with_paper(own_data)
    text_alone = replace(base, data=replace(base.data, modalities=("text",)))
    *lines, caveat = comparison_lines(ablation_study(tmp_path, text_alone))
    assert (
        caveat
        == "The paper's models read text, audio, visual, these text alone: agreement confirms nothing of the paper."
    )
    assert "confirmed" not in " ".join(lines)


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
    for part, wf1 in shifts.items():
        add_tested(folder, {"loss.ablate": part}, [0.7, 0.7, 0.7], shift__wf1=wf1, no_shift__wf1=[0.8, 0.8, 0.8])
    sentence = sentences(folder)["mmgcn, emotion shift"]
    assert "below that elsewhere by 18.67 ± 1.53 points with DCLF, by 28.67 ± 1.53 without" in sentence
    p = stats.ttest_rel([0.8 - x for x in shifts["none"]], [0.8 - x for x in shifts["base"]]).pvalue
    assert f"p {p:.4f}: the paper's -3.86 is confirmed." in sentence


@pytest.mark.parametrize(
    ("whole", "base", "words"),
    [
        (
            [0.82, 0.83, 0.85],
            [0.50, 0.53, 0.51],
            "above that elsewhere by 3.33 ± 1.53 points with DCLF, below it by 28.67",
        ),
        (
            [0.50, 0.53, 0.51],
            [0.82, 0.83, 0.85],
            "below that elsewhere by 28.67 ± 1.53 points with DCLF, above it by 3.33",
        ),
        (
            [0.81, 0.83, 0.82],
            [0.82, 0.83, 0.85],
            "above that elsewhere by 2.00 ± 1.00 points with DCLF, by 3.33 ± 1.53",
        ),
    ],
)
def test_a_gap_the_other_way_round_is_told_without_a_minus(
    tmp_path: Path, whole: list[float], base: list[float], words: str
) -> None:
    folder = comparison(tmp_path, ablation(parts=["base"], seeds=3))
    for part, wf1 in (("none", whole), ("base", base)):
        add_tested(folder, {"loss.ablate": part}, [0.7, 0.71, 0.7], shift__wf1=wf1, no_shift__wf1=[0.8, 0.8, 0.8])
    sentence = sentences(folder)["mmgcn, emotion shift"]
    assert words in sentence
    assert "by -" not in sentence.split("the gap changes")[0]
    assert "without: the gap changes by " in sentence


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_have_no_test_anywhere(tmp_path: Path, own_data: Path, seeds: int) -> None:
    folder = comparison(tmp_path, ablation(parts=["no_cacl", "base"], seeds=seeds), with_paper(own_data))
    scores = {"none": [0.7, 0.72], "no_cacl": [0.68, 0.69], "base": [0.6, 0.64]}
    for number, (part, wf1) in enumerate(scores.items()):
        shifts = {"shift__wf1": [x - 0.2 * x * x for x in wf1], "no_shift__wf1": wf1}
        add_tested(folder, {"loss.ablate": part}, wf1[:seeds], **shifts)
        add_perturbed(folder, number, [{"raw": x, "eccs": x, "eics": x - x * x / 4} for x in wf1[:seeds]])
    lines = list(comparison_lines(folder))
    assert len(lines) == 3
    count = {1: "one seed", 2: "two seeds"}[seeds]
    assert all(f"{count}, so nothing can be tested" in line for line in lines)
    assert "mmgcn, w/o CACL: -2." in lines[0]
    tables = study_tables(folder)
    for name in ("variants", "main", "perturbation"):
        assert not {"95 % interval", "p", "d_z"} & set(tables[name].head), name
        assert "Nothing is tested: fewer than 3 shared seeds" in tables[name].note
        for text in (latex_table(tables[name], "x"), markdown_table(tables[name]), *table_lines(tables[name])):
            assert "[" not in text.replace("[htbp]", "")
    assert "95 % interval" not in tables["distance"].head
    assert {one.outcome for one in study_verdicts(folder)} <= {"", NOT_TESTED}
    plain = comparison_facts(folder)
    for one in plain["variants"]:
        against = one["against_reference"]
        assert against is None or [against[key] for key in ("low", "high", "p", "p_holm", "effect")] == [None] * 5
    (warning,) = [line for line in report_facts(folder, "").warnings if "per variant: " in line]
    assert warning.startswith(f"{count.capitalize()} per variant: differences have no interval, no test and no percent")


def test_seeds_that_only_one_side_has_do_not_count(tmp_path: Path) -> None:
    folder = comparison(tmp_path, ablation(parts=["no_cacl", "base"], seeds=5))
    add_tested(folder, {"loss.ablate": "none"}, [0.70, 0.71, 0.73, 0.72])
    add_tested(folder, {"loss.ablate": "no_cacl"}, [0.66, 0.68, 0.69])
    add_tested(folder, {"loss.ablate": "base"}, [0.60, 0.62])
    lines = sentences(folder)
    assert lines["mmgcn, w/o CACL"].endswith("over the 3 seeds that both have: significant.")
    assert lines["mmgcn, base model"] == "-9.50 points; two seeds, so nothing can be tested."
    table = study_tables(folder)["variants"]
    rows = {row[1]: dict(zip(table.head, row, strict=True)) for row in table.rows}
    assert [rows["base model"][name] for name in ("difference", "95 % interval", "p", "d_z")] == ["-9.50", *"–––"]
    assert rows["w/o CACL"]["p"] != "–"
    assert table.note.endswith("Not tested: fewer than 3 shared seeds, or the same difference in each.")
    assert "the only one, so there is nothing to correct for" in table.note


def test_no_difference_has_no_sign(tmp_path: Path) -> None:
    folder = comparison(tmp_path, ablation(parts=["no_cacl", "no_ce"], seeds=3))
    add_tested(folder, {"loss.ablate": "none"}, [0.70, 0.71, 0.72])
    add_tested(folder, {"loss.ablate": "no_cacl"}, [0.70, 0.71, 0.72])
    add_tested(folder, {"loss.ablate": "no_ce"}, [0.7001, 0.7099, 0.71999])
    lines = sentences(folder)
    assert lines["mmgcn, w/o CACL"] == "0.00 points, the same in every seed, so nothing can be tested."
    assert lines["mmgcn, w/o CE"].startswith("0.00 points [-0.0")


def test_a_variant_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    folder = comparison(tmp_path, ablation(parts=["base"], seeds=3))
    add_tested(folder, {"loss.ablate": "none"}, [0.70, 0.71, 0.72])
    (line,) = comparison_lines(folder)
    assert line.startswith("Nothing is compared: that takes a base model's reference")
    assert study_tables(folder)["variants"].note == ""


def test_equal_cells_of_a_grid_share_the_first_place(tmp_path: Path) -> None:
    folder = comparison(tmp_path, grid({"loss.window": {"choices": [2, 4, 8]}}, seeds=3), kind="grid")
    for window, wf1 in ((2, [0.6, 0.61, 0.62]), (4, [0.62, 0.61, 0.6]), (8, [0.5, 0.5, 0.5])):
        add_tested(folder, {"loss.window": window}, wf1)
    assert sentences(folder)["mmgcn, best window"] == "W 2 and 4 with the same test WF1, 61.00 %."


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
