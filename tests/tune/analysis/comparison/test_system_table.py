"""The systems of Table 3: measured where a base model is one, else with the reason."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tune.analysis.comparison.studies import leaderboard, preset
from tune.analysis.comparison.system_table import compared_table
from tune.config.settings import load_config


def test_without_a_study_every_row_says_why_it_is_not_measured() -> None:
    table = compared_table("meld", None)
    assert len(table.rows) == 12
    why = {row[0]: row[2] for row in table.rows}
    for name in ("DSAGCN", "DIMMN", "SCMM", "HI-IMC", "SACCMA", "IMBA", "GCCL"):
        assert why[name] == "not measured: no public model"
    assert why["DER-GCN"] == "not measured: its repository does not hold the paper's model"
    assert why["MM-DFN"] == "not run (--compared trains mm_dfn)"
    assert table.rows[2] == ("DIMMN", "Wen et al., 2023", why["DIMMN"], "60.60", "58.60")
    assert table.rows[3][3:] == ("–", "59.44")


def test_what_was_run_stands_beside_the_papers_numbers(tmp_path: Path, shards: Path) -> None:
    folder = leaderboard(tmp_path, preset("iemocap", shards))
    table = compared_table("iemocap", folder, " (other data)")
    assert table.head[3:5] == ("paper WA (other data)", "paper WF1 (other data)")
    row = table.rows[1]
    assert row[:5] == ("MM-DFN", "Hu et al., 2022", "measured as mm_dfn, 5 seeds", "68.21", "68.18")
    assert all(" ± " in cell for cell in row[5:])
    assert table.head[5:] == ("WA", "WF1", "WA with DCLF", "WF1 with DCLF")
    assert table.rows[0][5:] == ("–", "–", "–", "–")
    assert table.note.endswith("All are real-time here, where the published systems hear whole conversations.")


def test_a_base_model_that_is_not_scored_is_not_one_that_was_not_asked_for(tmp_path: Path, shards: Path) -> None:
    folder = leaderboard(tmp_path, preset("iemocap", shards), ("mmgcn", "dag_erc"))
    rows = {row[0]: row for row in compared_table("iemocap", folder).rows}
    assert rows["MultiDAG"][2] == "measured as dag_erc, 5 seeds"
    assert rows["MM-DFN"][2] == "base model not scored"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "All are real-time here, where the published systems hear whole conversations. MultiDAG's published"),
        ({"train.curriculum": 5}, "with it. All are real-time here, where the published systems hear whole conversa"),
        ({"model.causal": False}, "with it. MultiDAG's published scores are with its curriculum, which is left off"),
        ({"model.causal": False, "train.curriculum": 5}, "without DCLF and with it."),
    ],
)
def test_the_note_says_what_holds(tmp_path: Path, shards: Path, changes: dict[str, Any], words: str) -> None:
    base = load_config("iemocap", {"data.shards": str(shards), **changes})
    note = compared_table("iemocap", leaderboard(tmp_path, base, ("mm_dfn", "dag_erc"))).note
    assert words in note
    assert ("real-time" in note) == ("model.causal" not in changes)
    assert ("curriculum" in note) == ("train.curriculum" not in changes)


def test_a_bidirectional_system_among_others_is_left_out(tmp_path: Path, shards: Path) -> None:
    folder = leaderboard(tmp_path, preset("iemocap", shards), ("mm_dfn", "dag_erc"))
    for number in (0, 1):
        params = folder.ledger.trials[number].params
        object.__setattr__(folder.ledger.trials[number], "params", {**params, "model.causal": False})
    changed = [
        {**one, "params": {**one["params"], "model.causal": False}} if one["model"] == "mm_dfn" else one
        for one in folder.definition.variants
    ]
    folder.definition = replace(folder.definition, variants=changed)
    assert "dag_erc is real-time here" in compared_table("iemocap", folder).note
