"""Tables of an earlier report are taken away, and nothing else is."""

from pathlib import Path

import pytest

from tests.tune.analysis.comparison.studies import (
    ablation_study,
    add_perturbed,
    gamma_study,
    leaderboard,
    planned_main,
    preset,
    window_study,
    with_paper,
)
from tune.analysis.comparison.study import study_tables
from tune.report.table_files import STUDY_TABLES, remove_other_tables


def test_tables_of_an_earlier_report_are_taken_away(tmp_path: Path) -> None:
    others = ["own.tex", "trials.txt", "perturbation.html", "mainly.tex"]
    for name in ("main.tex", "damage.tex", "trials.csv", "perturbation.csv", *others):
        (tmp_path / name).touch()
    remove_other_tables(tmp_path, ["main.tex", "trials.csv"])
    assert {path.name for path in tmp_path.iterdir()} == {"main.tex", "trials.csv", *others}


@pytest.mark.parametrize("layout", ["parts", "windows", "gammas", "main", "board"])
def test_every_table_of_a_study_is_known(tmp_path: Path, own_data: Path, layout: str) -> None:
    base = with_paper(own_data)
    make = {
        "parts": lambda: ablation_study(tmp_path, base),
        "windows": lambda: window_study(tmp_path, base),
        "gammas": lambda: gamma_study(tmp_path, base),
        "main": lambda: planned_main(tmp_path, preset("iemocap", own_data)),
        "board": lambda: leaderboard(tmp_path, base),
    }
    folder = make[layout]()
    add_perturbed(folder, 0, [{"raw": 0.7, "eccs": 0.6, "eics": 0.5}])
    assert set(study_tables(folder)) <= set(STUDY_TABLES)
