"""The systems of Table 3: measured where a base model is one, else with the reason."""

from pathlib import Path

from tests.tune.analysis.comparison.studies import leaderboard, preset
from tune.analysis.comparison.system_table import compared_table


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
    assert "real-time" in table.note
