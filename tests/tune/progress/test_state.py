from pathlib import Path

import pytest

from tests.tune.commands.studies import end, run_three, start, study_folder
from tests.tune.progress.reports import Watch, epoch_report
from tune.progress.state import Clock, StudyState
from tune.progress.texts import counts_text, running_text
from tune.study.events import StudyStarted, TrialChanged, TrialEpoch
from tune.study.folder import StudyFolder


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return study_folder(tmp_path)


def test_time_left_comes_from_the_latest_epochs() -> None:
    clock = Clock()
    assert clock.seconds_left == 0.0
    clock.add(epoch_report(1, 0.5, (1, 0.5), epochs=20, seconds=60.0))
    for epoch in range(2, 12):
        clock.add(epoch_report(epoch, 0.5, (1, 0.5), epochs=20, seconds=1.0))
    assert clock.seconds_left == pytest.approx(9.0)


def test_the_state_counts_and_finds_the_best(folder: StudyFolder, watch: Watch) -> None:
    state = StudyState(watch)
    run_three(state.update, folder, watch)
    assert counts_text(state) == "1 complete, 1 running, 0 pruned, 1 failed, 1 waiting"
    assert (state.ended, state.waiting, state.spent) == (2, 1, 60.0)
    assert state.best is not None
    assert state.best.number == 0
    assert [trial.number for trial in state.recent] == [0, 1]


def test_time_left_comes_from_ended_trials_and_those_that_run(folder: StudyFolder, watch: Watch) -> None:
    state = StudyState(watch)
    assert state.seconds_left is None
    run_three(state.update, folder, watch)
    # Trials took 30 and 60 s. One waits, one has run for 30 of 45 s, and two run at a time.
    assert state.seconds_left == pytest.approx((45 + 15) / 2)
    # It has run for longer than the others took: two epochs of 2 s are left of its training.
    watch.time += 60
    assert state.seconds_left == pytest.approx((45 + 4) / 2)


def test_before_the_first_end_epochs_tell_the_time_left(folder: StudyFolder, watch: Watch) -> None:
    state = StudyState(watch)
    state.update(StudyStarted(folder, [], "3f2a"))
    state.update(TrialChanged(start(folder)))
    assert state.seconds_left is None
    state.update(TrialEpoch(0, 0, epoch_report(1, 0.5, (1, 0.5), epochs=10, seconds=3.0)))
    assert state.seconds_left == pytest.approx(4 * 30.0)


def test_the_last_trial_s_own_rest_bounds_the_time_left(tmp_path: Path, watch: Watch) -> None:
    folder, state = study_folder(tmp_path, trials=3), StudyState(watch)
    state.update(StudyStarted(folder, [], "3f2a"))
    for _ in range(2):
        state.update(TrialChanged(start(folder)))
    watch.time += 40
    for number in range(2):
        state.update(TrialChanged(end(folder, number, "complete", 0.5)))
    state.update(TrialChanged(start(folder)))
    assert state.seconds_left == pytest.approx(40.0)


def test_the_trainings_of_a_comparison_are_told_and_reckoned_with_one_by_one(tmp_path: Path, watch: Watch) -> None:
    folder, state = study_folder(tmp_path, trials=3, time="", seeds=2, test="all", scheduler="none"), StudyState(watch)
    state.update(StudyStarted(folder, [], "3f2a"))
    for _ in range(2):
        state.update(TrialChanged(start(folder)))
    assert running_text(state) == "0 of 3 trials  running: trial 0 starts, trial 1 starts"
    for number, seed, epoch in ((0, 0, 10), (0, 1, 4), (1, 0, 5)):
        report = epoch_report(epoch, 0.5, (1, 0.5), epochs=10, seconds=3.0)
        state.update(TrialEpoch(number, seed, report, finished=epoch == 10))
    assert "running: trial 0 seed 1 epoch 4/10 val WF1 50.00, trial 1 seed 0 epoch 5/10" in running_text(state)
    # 60 s of work a trial: one waits, 18 s are left of the first, 45 of the second, and at most two ran at a time.
    assert state.seconds_left == pytest.approx((60 + 18 + 45) / 2)
    state.update(TrialChanged(end(folder, 0, "complete", 0.5)))
    # It came to 30 and 12 s, as far as was told.
    assert state.seconds_left == pytest.approx((42 + 27) / 2)


def test_time_bounds_what_is_left_but_running_trials_are_finished(tmp_path: Path, watch: Watch) -> None:
    folder, state = study_folder(tmp_path, trials=0, time="2min"), StudyState(watch)
    state.update(StudyStarted(folder, [], "3f2a"))
    state.update(TrialChanged(start(folder)))
    watch.time += 50
    state.update(TrialChanged(end(folder, 0, "complete", 0.5)))
    assert state.seconds_left == pytest.approx(70.0)
    state.update(TrialChanged(start(folder)))
    watch.time += 65
    state.update(TrialChanged(start(folder)))
    assert state.seconds_left == pytest.approx(50.0)


def test_a_resumed_study_knows_what_was_done(folder: StudyFolder, watch: Watch) -> None:
    end(folder, start(folder).number, "complete", 0.625)
    start(folder)
    state = StudyState(watch)
    state.update(StudyStarted(StudyFolder.open(folder.path.parent, "gammas"), [], "3f2a"))
    assert counts_text(state) == "1 complete, 0 running, 0 pruned, 0 failed, 3 waiting"
    assert state.best is not None


def test_a_minimised_objective_s_best_is_the_least(tmp_path: Path, watch: Watch) -> None:
    folder, state = study_folder(tmp_path, objectives={"wf1": "minimize"}), StudyState(watch)
    state.update(StudyStarted(folder, [], "3f2a"))
    for value in (0.6, float("nan"), 0.5, 0.55):
        state.update(TrialChanged(end(folder, start(folder).number, "complete", value)))
    assert state.best is not None
    assert state.best.values == (0.5,)


def test_many_trials_leave_no_records_behind(tmp_path: Path, watch: Watch) -> None:
    folder, state = study_folder(tmp_path, trials=0, time=""), StudyState(watch)
    state.update(StudyStarted(folder, [], "3f2a"))
    for _ in range(50):
        state.update(TrialChanged(end(folder, start(folder).number, "complete", 0.5)))
    assert len(state.recent) < 10
    assert not state.running
    assert state.seconds_left is None
