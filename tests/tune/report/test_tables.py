import math
from pathlib import Path

import pytest

from tests.tune.study.samples import add_trial, base_params, new_folder
from tune.report.tables import spoken, trials_table


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (48.2, "48 s"), (123, "2:03 min"), (3723, "1:02:03 h"), (math.nan, "–")]
)
def test_times(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


def test_a_search_over_epochs_has_two_columns_of_them(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    trial = add_trial(folder, {**base_params(), "train.epochs": 40}, [[0.5], [0.6]])
    table = trials_table(folder, [trial], "Trials")
    assert table.head[-3:] == ("epochs", "epochs run", "time")
    assert len(set(table.head)) == len(table.head)
    assert table.rows[0][-3:-1] == ("40", "24")
