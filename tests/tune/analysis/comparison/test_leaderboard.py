"""A leaderboard's numbers: one family of tests over all base models, costs, and what was published beside."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tune.analysis.comparison.studies import ablation_study, leaderboard, model_scores, preset, with_paper
from tune.analysis.comparison.board_tables import beside_board, board_tables, whole_board
from tune.analysis.comparison.differences import compared_variants, family_sizes
from tune.analysis.comparison.leaderboard import board_csv, board_facts, entries_of
from tune.analysis.comparison.study import comparison_facts, comparison_lines, study_tables
from tune.analysis.perturbation.files import REQUEST, split_folder, write_scores
from tune.analysis.perturbation.scores import ConditionScore
from tune.analysis.perturbation.study_tables import perturbed_variants
from tune.analysis.statistics import holm, paired
from tune.analysis.table import Table
from tune.study.folder import StudyFolder
from tune.study.scores import deviation


@pytest.fixture
def board(tmp_path: Path, shards: Path) -> StudyFolder:
    return leaderboard(tmp_path, preset("iemocap", shards))


def column(table: Table, head: str) -> list[str]:
    return [row[table.head.index(head)] for row in table.rows]


def test_the_tests_of_all_base_models_are_one_family(board: StudyFolder) -> None:
    differences = compared_variants(board)
    tested = [one for one in differences if one.paired is not None]
    assert [one.variant.model for one in tested] == ["mmgcn", "ddin", "mm_dfn"]
    assert all(one.reference is not None and one.reference.part == "base" for one in tested)
    alone = [paired(one.variant.wf1, one.reference.wf1).p for one in tested if one.reference is not None]
    assert [one.p for one in tested] == holm(alone) != alone
    assert family_sizes(differences) == {"all base models": 3}


def test_what_dclf_does_to_the_eics_drop_is_one_family_too(board: StudyFolder) -> None:
    against = [row.against for row in perturbed_variants(board) if row.against is not None]
    alone = [one.paired.p for one in against if one.paired is not None]
    assert [one.p for one in against] == holm(alone)
    assert {one.family for one in against} == {3}


def test_the_families_of_other_studies_stay_with_their_base_model(tmp_path: Path, shards: Path) -> None:
    folder = ablation_study(tmp_path, with_paper(shards))
    assert family_sizes(compared_variants(folder)) == {"mmgcn": 2}
    assert entries_of(folder) == []
    assert whole_board(folder) is None
    assert "leaderboard" not in comparison_facts(folder)


def test_the_note_says_how_many_tests_there_are(board: StudyFolder) -> None:
    table = study_tables(board)["leaderboard"]
    assert "Holm's correction over the 3 tests of WF1 that this study has." in table.note
    assert "for each base model" not in table.note


def test_the_first_table_has_scores_tests_shift_and_drops(board: StudyFolder) -> None:
    tables = study_tables(board)
    assert [*tables] == ["leaderboard", "f1", "costs", "published", "perturbation"]
    table = tables["leaderboard"]
    assert column(table, "model") == ["mmgcn", "mmgcn", "ddin", "ddin", "mm_dfn", "mm_dfn"]
    assert column(table, "method") == ["base model", "DCLF"] * 3
    differences = column(table, "difference")
    assert differences[::2] == ["–"] * 3
    assert all(text.startswith("+") for text in differences[1::2])
    assert column(table, "WF1 w/ shift") == ["40.00 ± 0.00"] * 6
    assert all(" ± " in text for text in column(table, "EICS drop"))


def test_a_model_that_cannot_answer_at_once_has_no_time(board: StudyFolder) -> None:
    costs = board_tables(board)["costs"]
    assert column(costs, "parameters") == ["1,000", "1,001", "1,002", "1,003", "1,004", "1,005"]
    assert column(costs, "s/epoch") == [f"1.7 ± {deviation([1.5, 1.6, 1.7, 1.8, 1.9]):.3g}"] * 6
    assert column(costs, "ms/utterance") == ["2.25", "2.25", "–", "–", "2.25", "2.25"]


def test_published_numbers_stand_beside_with_how_they_were_chosen(board: StudyFolder) -> None:
    table = board_tables(board)["published"]
    assert column(table, "model") == ["mmgcn", "mmgcn", "ddin", "ddin", "mm_dfn"], "those that have any"
    assert column(table, "paper WF1 (other data)") == ["67.40", "72.07", "66.70", "71.68", "68.18"]
    assert column(table, "authors WF1 (other data)") == ["–", "–", "–", "–", "68.18"]
    assert column(table, "authors chose")[-1] == "best on test"
    assert column(table, "authors")[-1] == "Hu et al., 2022"


def test_the_whole_board_has_every_column_of_its_parts(board: StudyFolder) -> None:
    whole, parts = whole_board(board), board_tables(board)
    assert whole is not None
    heads = {head for name in ("leaderboard", "costs", "published") for head in parts[name].head}
    assert heads | {"F1 happy", "F1 sad"} == {*whole.head}
    assert column(whole, "authors")[-2:] == ["Hu et al., 2022", "–"]
    assert beside_board(parts) == [parts["f1"]], "the paper's rows of the classes"
    unpublished = replace(parts["f1"], rows=tuple(row for row in parts["f1"].rows if row[0]))
    assert beside_board({**parts, "f1": unpublished}) == []


def test_authors_who_read_less_are_marked(board: StudyFolder) -> None:
    authors = {"mmgcn": {"wf1": 62.75, "modalities": ["text"], "best_on_test": True, "source": "A"}}
    board.definition = replace(board.definition, plan={**board.definition.plan, "authors": authors})
    table = whole_board(board)
    assert table is not None
    assert column(table, "authors chose")[:2] == ["text alone, best on test", "–"]
    assert "most of them of models that hear whole conversations" in table.note
    assert board_facts(board)[0]["authors_remark"] == "text alone, best on test"


def test_what_a_bidirectional_model_loses_without_the_future_is_told_apart(board: StudyFolder) -> None:
    request = json.loads((split_folder(board, "test") / REQUEST).read_text())
    for seed, cut in enumerate((0.66, 0.65, 0.64, 0.65, 0.65)):
        scores = [ConditionScore(kind=kind, values=(wf1,), raw=0.7) for kind, wf1 in (("cut", cut), ("eics", 0.6))]
        write_scores(model_scores(board, 0, seed, request, tuple(scores)))
    table = whole_board(board)
    assert table is not None
    assert column(table, "EICS drop")[0] == "10.00 ± 0.00"
    assert column(table, "of it future") == ["5.00 ± 0.71", *["–"] * 5]
    assert "of it future: the part of a bidirectional model's EICS drop" in table.note
    assert [fact["eics_drop_future"] for fact in board_facts(board)[:2]] == [pytest.approx(0.05), None]


def test_real_time_models_lose_no_future(board: StudyFolder) -> None:
    table = whole_board(board)
    assert table is not None
    assert "of it future" not in table.head
    assert "future" not in table.note


def test_facts_are_plain_numbers(board: StudyFolder) -> None:
    facts = board_facts(board)
    base, whole = facts[0], facts[1]
    assert base["difference"] is base["p_holm"] is None
    assert whole["difference"] == pytest.approx(whole["wf1"] - base["wf1"])
    assert whole["paper_wf1"] == pytest.approx(0.7207)
    assert facts[4]["authors_remark"] == "best on test"
    assert all(one["published_of_other_data"] for one in facts)
    assert not any(isinstance(value, float) and math.isnan(value) for one in facts for value in one.values())
    assert comparison_facts(board)["leaderboard"] == facts
    rows = list(csv.DictReader(io.StringIO(board_csv(board))))
    assert [row["model"] for row in rows] == [one["model"] for one in facts]
    assert float(rows[1]["eics_drop"]) == whole["eics_drop"]


def test_every_base_model_has_its_sentences(board: StudyFolder) -> None:
    lines = list(comparison_lines(board))
    assert sum(line.startswith(("mmgcn, DCLF: +", "ddin, DCLF: +", "mm_dfn, DCLF: +")) for line in lines) == 3
    assert any(line.startswith("mm_dfn: with DCLF the EICS drop shrinks") for line in lines)
