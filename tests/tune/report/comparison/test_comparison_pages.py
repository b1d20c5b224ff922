"""A comparison on its pages: terminal, JSON, report, with the perturbation test where one has been run."""

import json
from pathlib import Path

import pytest

from tests.tune.analysis.comparison.studies import (
    ablation_study,
    add_perturbed,
    add_tested,
    comparison,
    planned_main,
    preset,
    window_study,
    with_paper,
)
from tests.tune.study.samples import optuna_study
from tune.analysis.comparison.study import comparison_lines, comparison_note, study_tables, study_verdicts
from tune.analysis.summary import study_details
from tune.commands.main import main
from tune.comparisons import ablation
from tune.report.files import write_report
from tune.report.reproduction import write_reproduction
from tune.study.folder import StudyFolder

Streams = pytest.CaptureFixture[str]


@pytest.fixture
def perturbed(tmp_path: Path, shards: Path) -> StudyFolder:
    """A study file's Table 3 whose models have been perturbed too."""
    folder = planned_main(tmp_path, preset("iemocap", shards), seeds=3)
    for number, drop in enumerate((0.20, 0.10, 0.15, 0.08)):
        drops = [drop, drop + 0.01 * (number + 1), drop]
        add_perturbed(folder, number, [{"raw": 0.7, "eccs": 0.69, "eics": 0.7 - one} for one in drops])
    return folder


def test_show_begins_with_the_variants(tmp_path: Path, shards: Path, capsys: Streams) -> None:
    ablation_study(tmp_path, with_paper(shards))
    assert main(["show", "parts", "--storage", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    for words in (
        "ablation parts: Interrupted",
        "mmgcn, w/o CACL: -3.00 points [-5.48, -0.52], p 0.0351: the same sign as the paper's -2.12, significant.",
        "  mmgcn  w/o CACL        3  68.00 ± 2.00  66.00 ± 2.00       -3.00",
        "Test scores of study parts, differences in WF1 to the base model",
        "F1 (%) per class",
    ):
        assert words in output
    assert output.index("Variants of study parts") < output.index("What was compared")
    assert "Best trial" not in output
    assert "Best is trial" not in output


def test_show_as_json_has_scores_and_verdicts(tmp_path: Path, shards: Path, capsys: Streams) -> None:
    ablation_study(tmp_path, with_paper(shards))
    assert main(["show", "parts", "--storage", str(tmp_path), "--output", "json"]) == 0
    details = json.loads(capsys.readouterr().out)
    variants = {one["variant"]: one for one in details["variants"]}
    assert variants["DCLF"]["test"]["1"]["wf1"] == 0.71
    assert variants["DCLF"]["against_reference"] is None
    assert variants["w/o CACL"]["against_reference"]["p_holm"] == pytest.approx(0.0351, abs=1e-4)
    assert variants["w/o MCCL"]["against_reference"]["p"] is None
    assert details["verdicts"][0]["outcome"] == "the paper's sign, significant"


def test_every_form_says_in_the_caption_which_tests_are_a_family(tmp_path: Path, shards: Path, capsys: Streams) -> None:
    folder = ablation_study(tmp_path, with_paper(shards))
    phrase = "with Holm's correction over the 2 tests of WF1 that this study has."
    files = write_report(folder, optuna_study(comparison(tmp_path, ablation(), name="none")))
    html, markdown = (file.read_text(encoding="utf-8") for file in (files.html, files.markdown))
    assert html.count(phrase.replace("'", "&#39;")) == 2, "under the variants and under Table 3"
    assert markdown.count(phrase) == 2
    for name in ("variants.tex", "main.tex"):
        caption = files.tables[name].read_text(encoding="utf-8").split(r"\caption{")[1].split(r"\label")[0]
        assert phrase in caption
    assert phrase in comparison_note(folder)
    windows = window_study(tmp_path, with_paper(shards), (2, 4, 8, 10), seeds=3)
    note = comparison_note(windows)
    assert note.index("over the 3 tests of WF1") < note.index("by dialogue window W"), "which has no test of its own"
    assert main(["show", "parts", "--storage", str(tmp_path)]) == 0
    assert " ".join(capsys.readouterr().out.split()).count(phrase) == 2


def test_nothing_is_called_the_best_where_nothing_was_chosen(tmp_path: Path, shards: Path, capsys: Streams) -> None:
    folder = ablation_study(tmp_path, with_paper(shards))
    files = write_report(folder, optuna_study(comparison(tmp_path, ablation(), name="none")))
    assert files.config is None
    assert not (files.folder / "best.yaml").exists()
    for file in (files.html, files.markdown):
        assert "best configuration" not in file.read_text(encoding="utf-8").lower()
    assert main(["list", "--storage", str(tmp_path)]) == 0
    row = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("parts"))
    assert "wf1" not in row
    details = study_details(folder)
    assert (details["best_trial"], details["best_value"], details["best"], details["top"]) == (None, None, None, [])


@pytest.mark.slow
def test_the_perturbation_test_is_on_the_page(perturbed: StudyFolder) -> None:
    tables = study_tables(perturbed)
    assert list(tables) == ["main", "f1", "accuracy", "shifts", "perturbation"]
    assert any("the EICS drop" in line for line in comparison_lines(perturbed))
    files = write_report(perturbed, optuna_study(comparison(perturbed.path.parent, ablation(), name="none")))
    assert {"perturbation.tex", "perturbation.csv"} <= files.tables.keys()
    assert "contexts" in files.figures
    assert "$\\downarrow$" in files.tables["perturbation.tex"].read_text(encoding="utf-8")


def test_what_dclf_does_to_the_drop_is_a_finding_of_table_6(perturbed: StudyFolder, tmp_path: Path) -> None:
    verdicts = [one for one in study_verdicts(perturbed) if one.table == "Table 6"]
    assert [one.about for one in verdicts] == ["ddin, EICS drop", "mmgcn, EICS drop"]
    assert {one.outcome for one in verdicts} == {"the paper's sign, significant"}
    files = write_reproduction([perturbed], {}, tmp_path / "page", "All")
    assert "Table 6, the paper's sign, significant (2): ddin, EICS drop; mmgcn, EICS drop." in files.sentences
    text = files.markdown.read_text(encoding="utf-8")
    assert text.index("### Figure 3") < text.index("### Table 6") < text.index("### Table 7")
    assert text.count(": with DCLF the EICS drop") == 2
    assert "table-3-perturbation.csv" in files.tables


def test_the_layout_of_table_1_begins_with_the_perturbation_test(tmp_path: Path, shards: Path) -> None:
    plan = {"paper": "Table 1", "title": "", "layout": "perturbation"}
    settings = ablation(parts=["base"], seeds=2)
    folder = comparison(tmp_path, settings, preset("iemocap", shards), plan=plan)
    add_tested(folder, {"loss.ablate": "base"}, [0.60, 0.61])
    add_perturbed(folder, 0, [{"raw": 0.6, "eccs": 0.59, "eics": 0.4}, {"raw": 0.61, "eccs": 0.6, "eics": 0.42}])
    assert next(iter(study_tables(folder))) == "perturbation"
    files = write_reproduction([folder], {}, tmp_path / "page", "All")
    assert set(files.tables) == {"table-1-scores.csv", "table-1-perturbation.csv", "table-1-perturbation.tex"}
