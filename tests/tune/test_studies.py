"""Studies opened by name, and the tables that stand for results at a prompt and in a notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

from dclf.training.reports import FinalReport
from tests.tune.analysis.comparison.studies import ablation_study, with_paper
from tests.tune.progress.reports import CLASSES, epoch_report, split_report
from tests.tune.study.samples import add_trial, base_params, new_folder
from tune.analysis.perturbation.scores import ConditionScore, ModelScores
from tune.perturbations import PerturbationTest
from tune.report.reproduction import ReproductionFiles
from tune.runs import TrainedRun
from tune.studies import open_study
from tune.study.places import StudyError


def test_a_study_is_opened_by_its_name(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    folder.ledger.note("parent", run_id="3f2a", store="http://somewhere:5000")
    add_trial(folder, {**base_params(), "loss.window": 3}, [[0.5], [0.6]])
    add_trial(folder, {**base_params(), "loss.window": 4}, [[0.7], [0.7]])
    add_trial(folder, base_params(), state="failed", reason="lost")
    study = open_study("gammas", storage=tmp_path)
    assert (study.name, study.run_id, study.tracking_uri) == ("gammas", "3f2a", "http://somewhere:5000")
    assert study.report is None
    assert study.best_config.loss.window == 4
    assert len(study.trials) == 3


def test_its_best_trials_stand_for_a_search(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    for place in range(7):
        add_trial(folder, {**base_params(), "loss.window": place + 1}, [[0.5 + place / 100]])
    lines = repr(open_study("gammas", storage=tmp_path)).splitlines()
    assert lines[0] == "study gammas, interrupted: 7 complete"
    assert lines[1].split()[:4] == ["trial", "mark", "validation", "WF1"]
    assert lines[2].split()[:3] == ["6", "best", "56.00"]
    assert [line.split()[:2] for line in lines[3:]] == [
        ["5", "55.00"],
        ["4", "54.00"],
        ["3", "53.00"],
        ["2", "52.00"],
    ]


def test_its_variants_stand_for_a_comparison(tmp_path: Path) -> None:
    ablation_study(tmp_path, with_paper())
    title, head, *rows, note = repr(open_study("parts", storage=tmp_path)).splitlines()
    assert title.startswith("study parts, interrupted: 4 complete; ")
    assert head.split()[:2] == ["model", "variant"]
    assert len(rows) == 4
    assert note.startswith(
        "Reference: DCLF. Differences in WF1 in points, over shared seeds. p: two-sided paired t-tests"
    )


def test_a_study_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    new_folder(tmp_path)
    with pytest.raises(StudyError, match=r"no study 'gamma' in .*; it has: gammas"):
        open_study("gamma", storage=tmp_path)


def test_scores_stand_for_a_run() -> None:
    splits = {"val": split_report("val", 0.625), "test": split_report("test", 0.7207)}
    final = FinalReport(class_names=CLASSES, history=[epoch_report(3, 0.6, (2, 0.625))], splits=splits)
    run = TrainedRun(run_id="3f2a", name="<bold>", checkpoint="c", final=final, tracking_uri="sqlite:///x")
    lines = repr(run).splitlines()
    assert lines[0] == "run <bold> (3f2a), epoch 2"
    assert lines[1].split() == ["split", "WA", "WF1", "happy", "sad"]
    assert [line.split()[0] for line in lines[2:]] == [*final.splits]
    page = run._repr_html_()
    assert page.startswith("<table><caption>run &lt;bold&gt; (3f2a), epoch 2</caption>")
    assert page.count("<tr>") == 1 + len(final.splits)


def test_conditions_stand_for_a_perturbation_test(tmp_path: Path) -> None:
    report = ModelScores(
        key="",
        run_id="3f2a",
        run_name="bold",
        model="mmgcn",
        dataset="x",
        shards_sha256="",
        split="test",
        seed=0,
        utterances=4,
        raw=1.0,
        scores=(ConditionScore(kind="eics", values=(0.25, 0.75), raw=1.0),),
        training_seed=0,
        folder=tmp_path,
    )
    text = repr(PerturbationTest(report=report, files=(), substitutions=tmp_path))
    assert text.startswith("perturbation test of bold (mmgcn), test split\n")
    assert [line.split() for line in text.splitlines()[1:]] == [
        ["condition", "WF1", "drop"],
        ["raw", "100.00", "–"],
        ["eics", "50.00", "50.00"],
    ]


def test_the_page_and_what_is_missing_stand_for_a_reproduction(tmp_path: Path) -> None:
    files = ReproductionFiles(
        folder=tmp_path,
        html=tmp_path / "page.html",
        markdown=tmp_path / "page.md",
        tables={"table4": tmp_path / "table4.csv"},
        sentences=("Nothing is confirmed.",),
        missing={"table6": "not run yet"},
    )
    assert repr(files).splitlines() == [
        f"reproduction in {tmp_path}",
        "what    where",
        f"page    {tmp_path}/page.html",
        f"table4  {tmp_path}/table4.csv",
        "table6  not run yet",
        "Nothing is confirmed.",
    ]
