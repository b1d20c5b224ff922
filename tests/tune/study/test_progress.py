"""How far a study is."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tune.study.samples import add_trial, new_folder
from tune.study.folder import StudyFolder
from tune.study.progress import failures, numbers_text, progress_of


def standing(folder: StudyFolder) -> str:
    return progress_of(folder).standing


def test_a_study_is_new_then_interrupted_then_finished(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, trials=2)
    assert standing(folder) == "new"
    add_trial(folder, {}, [[0.5]])
    assert standing(folder) == "interrupted"
    add_trial(folder, {}, [], "failed")
    assert standing(folder) == "finished"


@pytest.mark.parametrize("state", ["running", "waiting"])
def test_a_study_with_a_trial_to_run_is_not_finished(tmp_path: Path, state: str) -> None:
    folder = new_folder(tmp_path, trials=1)
    add_trial(folder, {}, [], state)
    assert standing(folder) == "interrupted"


def test_a_goal_finishes_a_study(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, stop_at=0.6)
    add_trial(folder, {}, [[0.5]])
    assert standing(folder) == "interrupted"
    add_trial(folder, {}, [[0.61]])
    assert standing(folder) == "finished"
    assert "0.61" in progress_of(folder).stopped


def test_pruned_trials_are_among_those_that_were_no_better(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, trials=9, stop_after=2)
    for value, state in ((0.5, "complete"), (0.4, "pruned"), (0.4, "pruned")):
        assert standing(folder) != "finished"
        add_trial(folder, {}, [[value]], state)
    assert standing(folder) == "finished"
    assert progress_of(folder).stopped == "no better trial among the last 2"


@pytest.mark.slow
def test_who_works_on_it_is_told_to_other_processes(folder: StudyFolder) -> None:
    code = (
        "import sys; from tune.study.folder import StudyFolder; from tune.study.progress import progress_of\n"
        "found = progress_of(StudyFolder.open(sys.argv[1], 'gammas')); print(found.standing, '|', found.worker)"
    )
    command = [sys.executable, "-c", code, str(folder.path.parent)]
    with folder.locked():
        during = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert during.startswith("running | process ")
    assert after.strip() == "new |"


def test_looking_does_not_take_the_lock(folder: StudyFolder) -> None:
    with folder.locked():
        pass
    progress_of(folder)
    with folder.locked():
        assert not progress_of(folder).worker, "a driver that writes its own report does not call the study running"


def test_failures_by_reason(folder: StudyFolder) -> None:
    for reason in ("NaN", "memory", "NaN", ""):
        add_trial(folder, {}, [], "failed", reason=reason)
    add_trial(folder, {}, [], "pruned", reason="late")
    assert failures(folder) == {"NaN": [0, 2], "memory": [1], "no reason was recorded": [3]}


def test_many_numbers_are_cut_short() -> None:
    assert numbers_text([3]) == "trial 3"
    assert numbers_text(list(range(8))) == "trials 0, 1, 2, 3, 4 and 3 more"
