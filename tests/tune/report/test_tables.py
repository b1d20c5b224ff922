from pathlib import Path

from tests.tune.study.samples import add_trial, base_params, new_folder
from tune.report.tables import trials_table


def test_a_search_over_epochs_has_two_columns_of_them(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    trial = add_trial(folder, {**base_params(), "train.epochs": 40}, [[0.5], [0.6]])
    table = trials_table(folder, [trial], "Trials")
    assert table.head[-3:] == ("epochs", "epochs run", "time")
    assert len(set(table.head)) == len(table.head)
    assert table.rows[0][-3:-1] == ("40", "24")
