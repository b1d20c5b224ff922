"""The tables in the paper's form: rows, rounding, published numbers beside or under the measured ones."""

from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from tests.tune.analysis.comparison.studies import (
    PAPER,
    ablation_study,
    add_tested,
    comparison,
    gamma_study,
    planned_main,
    preset,
    window_study,
    with_paper,
)
from tests.tune.study.samples import BASE
from tune.analysis.comparison.claims import most_different
from tune.analysis.comparison.grids import gamma_table, window_table
from tune.analysis.comparison.paper import METHODS
from tune.analysis.comparison.study import study_tables
from tune.analysis.comparison.tables import (
    class_tables,
    distance_table,
    main_table,
    published_text,
    shifts_table,
    variants_table,
)
from tune.analysis.comparison.variants import variants_of
from tune.analysis.table import Table, latex_table
from tune.comparisons import ablation, grid
from tune.report.comparison.figures import window_figure
from tune.study.folder import StudyFolder


def rows_of(table: Table | None) -> dict[str, tuple[str, ...]]:
    """Second column -> the others after it."""
    assert table is not None
    return {row[1]: row[2:] for row in table.rows}


def test_table_4_has_the_papers_numbers_beside_the_measured(ablations: StudyFolder) -> None:
    rows = rows_of(variants_table(ablations))
    assert rows["DCLF"] == ("3", "71.00 ± 1.00", "69.00 ± 1.00", "–", "–", "–", "–", "72.07", "–")
    assert rows["w/o CACL"][3] == "-3.00"
    assert rows["w/o CACL"][-2:] == ("69.95", "-2.12")
    assert rows["base model"][-2:] == ("67.40", "-4.67")


def test_on_the_papers_own_data_the_distance_to_it_is_told(ablations: StudyFolder) -> None:
    table = distance_table(ablations)
    low, high = stats.t.interval(0.95, 2, loc=71 - 72.07, scale=1 / 3**0.5)
    assert rows_of(table)["DCLF"] == ("71.00 ± 1.00", "72.07", "-1.07", f"[{low:+.2f}, {high:+.2f}]")


def test_on_other_data_there_is_no_distance_to_the_paper(tmp_path: Path, shards: Path) -> None:
    folder = ablation_study(tmp_path, with_paper(shards))
    assert distance_table(folder) is None
    main, variants, shifts = main_table(folder), variants_table(folder), shifts_table(folder)
    assert main is not None
    assert variants is not None
    assert shifts is not None
    assert main.head[-3:] == ("paper WA (other data)", "paper WF1 (other data)", "paper's diff. (other data)")
    assert variants.head[-2:] == ("paper WF1 (other data)", "paper's diff. (other data)")
    assert shifts.head[-1] == "paper w/ shift (other data)"
    assert {row[1] for row in class_tables(folder)["f1"].rows if not row[0]} == {"paper (other data)"}


def test_the_papers_data_read_otherwise_are_not_called_other_data(tmp_path: Path, own_data: Path) -> None:
    paper = with_paper(own_data)
    text = replace(paper, data=replace(paper.data, modalities=("text",)))
    table = variants_table(ablation_study(tmp_path, text))
    assert table is not None
    assert table.head[-2:] == ("paper WF1 (other modalities)", "paper's diff. (other modalities)")
    windows = window_study(tmp_path / "windows", text)
    assert (drawing := window_figure(windows)) is not None
    assert drawing.caption.endswith("Dotted: published (of other modalities).")
    generated = ablation_study(
        tmp_path / "generated", replace(with_paper("nowhere"), data=replace(text.data, shards="x"))
    )
    assert most_different([windows.definition]) == " (other modalities)"
    assert most_different([windows.definition, generated.definition]) == " (other data)"
    assert most_different([ablation_study(tmp_path / "own", paper).definition]) == ""


def test_table_3_has_both_scores_and_the_test_against_the_base_model(ablations: StudyFolder) -> None:
    table = main_table(ablations)
    assert table is not None
    assert table.head[2:5] == ("seeds", "WA (%)", "WF1 (%)")
    assert table.head[-3:] == ("paper WA", "paper WF1", "paper's diff.")
    rows = rows_of(table)
    assert rows["base model"] == ("3", "59.00 ± 1.00", "61.00 ± 1.00", "–", "–", "–", "–", "67.10", "67.40", "–")
    assert rows["DCLF"][:4] == ("3", "69.00 ± 1.00", "71.00 ± 1.00", "+10.00")
    assert rows["DCLF"][-3:] == ("73.27", "72.07", "+4.67")
    assert set(rows) == {"base model", "DCLF"}, "the parts are Table 4's, and compared once, with DCLF"


def test_classes_have_the_papers_row_under_the_measured(ablations: StudyFolder) -> None:
    table = class_tables(ablations)["f1"]
    assert table.head == ("model", "method", "happy", "sad")
    assert table.rows[:4] == (
        ("mmgcn", "base model", "50.00 ± 10.00", "70.00 ± 0.00"),
        ("", "paper", "47.41", "75.47"),
        ("mmgcn", "DCLF", "60.00 ± 10.00", "80.00 ± 0.00"),
        ("", "paper", "48.01", "84.93"),
    )
    assert table.rows[4:] == (("mmgcn", "w/o CACL", "–", "–"), ("mmgcn", "w/o MCCL", "–", "–"))
    assert "accuracy" not in class_tables(ablations), "no seed was scored so"


def test_without_a_base_model_there_is_no_table_3(tmp_path: Path) -> None:
    folder = comparison(tmp_path, ablation(parts=["no_ce"], seeds=2))
    add_tested(folder, {"loss.ablate": "none"}, [0.7, 0.72])
    add_tested(folder, {"loss.ablate": "no_ce"}, [0.6, 0.61])
    assert main_table(folder) is None
    assert list(study_tables(folder)) == ["variants", "shifts"]


def test_emotion_shift_has_a_table_of_its_own(ablations: StudyFolder) -> None:
    table = shifts_table(ablations)
    assert table is not None
    assert table.head[:5] == ("model", "variant", "whole", "w/o shift", "w/ shift")
    assert table.head[5:] == ("paper whole", "paper w/o shift", "paper w/ shift")
    assert rows_of(table)["DCLF"] == ("71.00 ± 1.00", "80.00 ± 0.00", "40.00 ± 0.00", "72.07", "75.86", "65.47")


def test_table_5_has_a_column_per_window(tmp_path: Path) -> None:
    folder = window_study(tmp_path, with_paper(), (2, 4, 16))
    table = window_table(folder)
    assert table is not None
    assert table.head == ("model", "source", "W 2", "W 4", "W 16")
    assert table.rows == (
        ("mmgcn", "measured", "60.50 ± 0.71", "62.50 ± 0.71", "64.50 ± 0.71"),
        ("", "paper (other data)", "70.29", "71.05", "–"),
    )
    assert list(study_tables(folder)) == ["window", "variants"]
    assert "95 % interval" not in study_tables(folder)["variants"].head, "nothing to compare with"


@pytest.mark.parametrize("part", ["base", "no_mccl"])
def test_the_papers_windows_are_of_the_whole_framework(tmp_path: Path, part: str) -> None:
    paper = with_paper()
    table = window_table(window_study(tmp_path, replace(paper, loss=replace(paper.loss, ablate=part)), (2, 4)))
    assert table is not None
    assert [row[1] for row in table.rows] == ["measured"]


def test_a_study_files_windows_too(tmp_path: Path) -> None:
    variants = [
        {"name": f"window {window}", "model": "mmgcn", "params": {"loss.window": window}, "published": {"wf1": 70.29}}
        for window in (2, 4)
    ]
    windows = grid({"loss.window": {"choices": [2, 4]}}, seeds=1)
    for part, sources in (("none", ["measured", "paper (other data)"]), ("no_ica", ["measured"])):
        base = replace(BASE, published=PAPER, loss=replace(BASE.loss, ablate=part))
        folder = comparison(tmp_path / part, windows, base, variants=variants, plan={"layout": "window"})
        add_tested(folder, {"loss.window": 2}, [0.6])
        add_tested(folder, {"loss.window": 4}, [0.7])
        table = window_table(folder)
        assert table is not None
        assert [row[1] for row in table.rows] == sources


def test_a_variant_that_changes_more_is_no_row_of_table_3(tmp_path: Path) -> None:
    points = [{"loss.ablate": part, "data.modalities": m} for m in (["text", "audio"], ["text"]) for part in METHODS]
    variants = [
        {"name": f"{place}", "model": "mmgcn", "params": point, "changes": ["data.modalities"] if place > 1 else []}
        for place, point in enumerate(points)
    ]
    folder = comparison(
        tmp_path, ablation(seeds=1), with_paper(), "main", variants=variants, plan={"layout": "main"}, kind="study"
    )
    for point in points:
        add_tested(folder, point, [0.6])
    assert [published_text(variant, "wf1") for variant in variants_of(folder)] == ["72.07", "67.40", "–", "–"]


def test_figure_4_has_its_numbers_as_a_table(tmp_path: Path) -> None:
    table = gamma_table(gamma_study(tmp_path, with_paper(), ("ddin", "mmgcn")))
    assert table is not None
    assert table.head == ("model", "gamma_ca", "gamma_mc 0.1", "gamma_mc 0.2", "gamma_mc 0.4")
    assert len(table.rows) == 8
    assert table.rows[2] == ("ddin", "0.5", "69.00 ± 1.41", "70.00 ± 1.41", "68.00 ± 1.41")


def test_other_studies_have_neither(ablations: StudyFolder) -> None:
    assert window_table(ablations) is None
    assert gamma_table(ablations) is None
    assert list(study_tables(ablations)) == ["variants", "main", "f1", "shifts", "distance"]


def test_the_layout_of_a_study_file_comes_first(tmp_path: Path, shards: Path) -> None:
    folder = planned_main(tmp_path, preset("iemocap", shards))
    tables = study_tables(folder)
    assert list(tables) == ["main", "f1", "accuracy", "shifts"]
    assert [row[:2] for row in tables["main"].rows] == [
        ("ddin", "base"),
        ("ddin", "DCLF"),
        ("mmgcn", "base"),
        ("mmgcn", "DCLF"),
    ]
    assert tables["f1"].head[2:] == ("happy", "sad", "neutral", "angry", "excited", "frustrated")


@pytest.mark.parametrize("name", ["variants", "main", "f1", "shifts"])
def test_latex_has_every_row(tmp_path: Path, own_data: Path, name: str) -> None:
    table = study_tables(ablation_study(tmp_path, with_paper(own_data)))[name]
    text = latex_table(table, "tab:x")
    assert text.count(r"\\") == 1 + len(table.rows)
    assert r"\toprule" in text
    assert "$\\pm$" in text
