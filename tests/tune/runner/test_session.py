import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tune.runner.outcome import check_optuna
from tests.tune.runner.sessions import EPOCHS, Driver, SilentRecorder, new_study, score
from tune.runner.parent_writes import progress_writes
from tune.study.events import TrialChanged, TrialEpoch
from tune.study.folder import StudyFolder
from tune.study.ledger import Ledger
from tune.study.trial_table import trials_frame


def reopened(folder: StudyFolder) -> StudyFolder:
    """As the next driver finds it."""
    return StudyFolder.open(folder.path.parent, folder.definition.name)


def test_start_points_come_first_and_the_budget_holds(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=5, start_points=({"loss.window": 3}, {"loss.gamma_ca": 0.25}))
    Driver(folder).work()
    trials = list(folder.ledger.trials.values())
    base = folder.definition.base.loss
    assert [trial.params for trial in trials[:3]] == [
        {"loss.gamma_ca": base.gamma_ca, "loss.window": base.window},
        {"loss.gamma_ca": base.gamma_ca, "loss.window": 3},
        {"loss.gamma_ca": 0.25, "loss.window": base.window},
    ]
    assert [trial.origin for trial in trials] == ["start"] * 3 + ["search"] * 2
    assert {trial.state for trial in trials} == {"complete"}
    check_optuna(folder)


def test_listeners_are_told_of_every_change_and_epoch_in_order(tmp_path: Path) -> None:
    driver = Driver(new_study(tmp_path, trials=2))
    driver.work()
    states = [(event.trial.number, event.trial.state) for event in driver.events if isinstance(event, TrialChanged)]
    assert states == [(n, state) for n in (0, 1) for state in ("waiting", "running", "complete")]
    epochs = [(event.number, event.report.epoch) for event in driver.events if isinstance(event, TrialEpoch)]
    assert epochs == [(n, epoch) for n in (0, 1) for epoch in range(1, EPOCHS + 1)]
    assert isinstance(driver.events[-1], TrialChanged)


def test_unfinished_trials_come_before_new_ones_and_keep_their_finished_trainings(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=4, seeds=2)
    first = Driver(folder)
    one, two = first.session.next(), first.session.next()
    assert one is not None
    assert two is not None
    first.session.start(one)
    first.session.record_step(first.step_of(one, 3, EPOCHS))
    second = Driver(reopened(folder), trained=first.trained)
    second.work()
    assert second.ran == [0, 1, 2, 3]
    assert (0, 3) not in second.trained, "that training was finished"
    trial = second.folder.ledger.trials[0]
    assert trial.values == pytest.approx(((score(trial.params, 3, EPOCHS) + score(trial.params, 4, EPOCHS)) / 2,))
    check_optuna(second.folder)


def test_the_time_of_a_resumed_trial_is_what_its_drivers_worked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune.study.ledger.ALIVE_S", -1.0)  # lines have whole milliseconds, two of them the same
    folder = new_study(tmp_path, trials=1)
    first = Driver(folder)
    task = first.session.next()
    assert task is not None
    first.session.start(task)
    first.session.record_step(first.step_of(task, 3, 2))
    # The driver is killed, and the next one begins an hour later.
    lines = [json.loads(line) for line in folder.ledger.path.read_text().splitlines()]
    assert lines[-1]["kind"] == "alive"
    earlier = [{**line, "time": line["time"] - 3600 - 20 * (line["event"] != "note")} for line in lines]
    folder.ledger.path.write_text("".join(json.dumps(line) + "\n" for line in earlier))
    second = Driver(reopened(folder), trained={(0, 3): 2})
    second.work()
    (ended,) = second.folder.ledger.trials.values()
    assert ended.state == "complete"
    assert 20 <= ended.worked_s < 600
    assert trials_frame(second.folder)["seconds"].tolist() == [ended.worked_s]


class Files(SilentRecorder):
    """Remembers which files the parent run gets."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.count = 0

    def file(self, name: str, _text: str) -> None:
        self.files.add(name)
        self.count += 1


@pytest.mark.parametrize(("test", "chooses"), [("all", False), ("best", True)])
def test_a_comparison_tells_mlflow_of_no_best(tmp_path: Path, test: str, *, chooses: bool) -> None:
    folder, recorder = new_study(tmp_path, trials=2, test=test), Files()
    Driver(folder, recorder=recorder).work()
    metrics = {name for write in progress_writes(folder, 1) for name in write.body["values"]}
    assert any(name.startswith("best/") for name in metrics) == chooses
    assert ("best.yaml" in recorder.files) == chooses
    assert "trials/complete" in metrics


def test_a_trial_is_worth_the_mean_of_its_seeds(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=2, seeds=3)
    Driver(folder).work()
    trials = Ledger(folder.ledger.path).trials
    assert len(trials) == 2
    for trial in trials.values():
        assert sorted(trial.runs) == [3, 4, 5]
        assert trial.values == pytest.approx((score(trial.params, 4, EPOCHS),))


def test_the_trainings_of_a_comparison_run_beside_one_another(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"trials": 2, "seeds": 3, "test": "all", "start_points": ({"loss.window": 2},)}
    one = Driver(new_study(tmp_path / "one", **settings))
    one.work()
    beside = Driver(new_study(tmp_path / "beside", **settings), slots=4)
    beside.work()
    assert beside.ran == [0, 0, 0, 1, 1, 1], "a task for each training"
    epochs = [(event.number, event.seed) for event in beside.events if isinstance(event, TrialEpoch)]
    assert set(epochs[:4]) == {(0, 3), (0, 4), (0, 5), (1, 3)}, "four at a time"
    assert sum(event.finished for event in beside.events if isinstance(event, TrialEpoch)) == 6
    for trial, other in zip(beside.folder.ledger.trials.values(), one.folder.ledger.trials.values(), strict=True):
        assert trial.state == "complete"
        assert trial.values == pytest.approx(other.values)
        assert {seed: run.values for seed, run in trial.runs.items()} == {
            s: run.values for s, run in other.runs.items()
        }
    check_optuna(beside.folder)


def test_a_trial_fails_with_one_of_its_trainings_and_the_others_end(tmp_path: Path) -> None:
    driver = Driver(new_study(tmp_path, trials=2, seeds=3, test="all", start_points=({"loss.window": 2},)))
    session = driver.session
    first, second = session.next(), session.next()
    assert first is not None
    assert second is not None
    for task in (first, second):
        session.start(task)
    session.fail(first.number, "NonFiniteLossError: ce")
    step = driver.step_of(second, 4, 1)
    assert session.record_step(step), "it is to end"
    session.prune(second.number, step)
    session.fail(second.number, "its worker was lost")
    session.start(second)
    driver.work()
    assert driver.ran == [1, 1, 1], "its third training is not begun"
    trials = driver.folder.ledger.trials
    assert [(trial.state, trial.reason) for trial in trials.values()] == [
        ("failed", "NonFiniteLossError: ce"),
        ("complete", ""),
    ]
    assert not session.has_unfinished
    check_optuna(driver.folder)


def test_the_pruner_ends_what_is_worse(tmp_path: Path) -> None:
    folder = new_study(
        tmp_path,
        trials=8,
        scheduler="median",
        startup_trials=1,
        grace_epochs=1,
        seeds=2,
        start_points=({"loss.gamma_ca": 1.0},),
    )
    Driver(folder).work()
    states = Counter(trial.state for trial in folder.ledger.trials.values())
    assert states["pruned"] >= 1
    assert states["complete"] >= 2
    for trial in folder.ledger.trials.values():
        if trial.state == "pruned":
            assert trial.reason.startswith("median after epoch ")
            assert trial.values == (score(trial.params, 3, trial.runs[3].epochs),)
            assert trial.runs[3].epochs < EPOCHS
    check_optuna(folder)


def test_epochs_without_the_objective_are_not_told_to_optuna(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=2, objectives={"eics/wf1": "maximize"})
    driver = Driver(folder, score=lambda _params, _seed, epoch: epoch / 10 if epoch % 2 == 0 else math.nan)
    original = driver.step_of
    curve = [math.nan, 0.2, math.nan, 0.4]
    driver.step_of = lambda *arguments: replace(original(*arguments), curve=curve[: arguments[2]])  # type: ignore[method-assign]
    driver.work()
    assert [trial.intermediate_values for trial in driver.study.study.trials] == [{2: 0.2, 4: 0.4}] * 2
    assert [trial.curve for trial in folder.ledger.trials.values()] == [(None, 0.2, None, 0.4)] * 2


def test_the_parent_has_the_pick_trial_whenever_it_changes(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=3, objectives={"wf1": "maximize", "eics/wf1": "maximize"})
    recorder = Files()
    driver = Driver(folder, recorder=recorder)
    for wf1, eics in ((0.6, 0.5), (0.596, 0.6), (0.604, 0.1)):
        task = driver.session.next()
        assert task is not None
        driver.session.start(task)
        driver.session.record_step(replace(driver.step_of(task, 3, EPOCHS), values=(wf1, eics)))
        driver.session.finish(task)
    values = [write.body["values"] for write in progress_writes(folder, 1)]
    assert [(step["best/val_wf1"], step["best/val_eics/wf1"]) for step in values] == [
        (0.6, 0.5),
        (0.596, 0.6),
        (0.6, 0.5),
    ]
    assert recorder.count == 3


def test_an_objective_that_is_no_number_fails_its_trial_alone(tmp_path: Path) -> None:
    def nan_for_the_second(params: Any, seed: int, epoch: int) -> float:
        return math.nan if params["loss.gamma_ca"] == 0.25 else score(params, seed, epoch)

    folder = new_study(tmp_path, trials=4, start_points=({"loss.gamma_ca": 0.25},), sampler="tpe")
    Driver(folder, score=nan_for_the_second).work()
    assert [trial.state for trial in folder.ledger.trials.values()] == ["complete", "failed", "complete", "complete"]
    assert folder.ledger.trials[1].reason == "its objective is not a number: (nan,)"
    check_optuna(folder)


@pytest.mark.parametrize(
    ("settings", "trials", "reason"),
    [
        ({"trials": 3}, 3, "all 3 trials are created"),
        ({"trials": 9, "stop_at": 0.2}, 1, "a trial reached"),
        ({"trials": 9, "stop_after": 2, "start_points": ({"loss.gamma_ca": 1.0},)}, 4, "no better trial"),
    ],
)
def test_stop_rules_end_the_handing_out(tmp_path: Path, settings: dict[str, Any], trials: int, reason: str) -> None:
    driver = Driver(new_study(tmp_path, **settings))
    driver.work()
    assert len(driver.folder.ledger.trials) == trials
    assert driver.session.stop_reason is not None
    assert reason in driver.session.stop_reason


def test_the_time_of_earlier_drivers_counts(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=0, time="10s")
    lines = [{"event": "note", "time": when, "kind": kind} for when, kind in ((100, "begin"), (111, "alive"))]
    folder.ledger.path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    driver = Driver(reopened(folder))
    driver.work()
    assert (driver.ran, driver.session.stop_reason) == ([], "the time of 10s is up")


def test_a_failed_trial_is_known_everywhere_and_not_tried_again(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=3)
    first = Driver(folder)
    task = first.session.next()
    assert task is not None
    first.session.start(task)
    first.session.fail(task.number, "out of memory")
    second = Driver(reopened(folder))
    second.work()
    assert second.ran == [1, 2]
    assert second.folder.ledger.trials[0].reason == "out of memory"
    check_optuna(second.folder)


def test_an_end_that_the_ledger_has_lost_is_reached_again(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=3, scheduler="median", startup_trials=1, grace_epochs=1)

    def equal(_params: Mapping[str, Any], _seed: int, epoch: int) -> float:
        return epoch / 10

    first = Driver(folder, score=equal)
    first.work()
    lines = folder.ledger.path.read_text().splitlines(keepends=True)
    last = max(place for place, line in enumerate(lines) if '"event": "started"' in line)
    folder.ledger.path.write_text("".join(lines[: last + 1]))
    again = Driver(reopened(folder), score=equal, trained=first.trained)
    assert [trial.state for trial in again.folder.ledger.trials.values()][-1] == "running"
    again.work()
    assert again.folder.ledger.trials[2].state == "complete"
    check_optuna(again.folder)


class Killed(BaseException):
    """The driver is gone."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"seeds": 2}, {"seeds": 2, "test": "all"}, {"scheduler": "median", "startup_trials": 1, "grace_epochs": 1}],
)
def test_a_kill_after_any_write_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """Ledger and Optuna's journal reach the disk by fsync: the driver ends behind every one, and another goes on."""
    undisturbed = Driver(new_study(tmp_path / "undisturbed", trials=3, start_points=({"loss.window": 2},), **settings))
    undisturbed.work()
    place, finished = 0, False
    while not finished:
        folder = new_study(tmp_path / str(place), trials=3, start_points=({"loss.window": 2},), **settings)
        first = Driver(folder, slots=3 if "test" in settings else 1)
        left = place

        def killing(file: int) -> None:
            nonlocal left
            if not left:
                raise Killed
            left -= 1

        try:
            with monkeypatch.context() as patched:
                patched.setattr(os, "fsync", killing)
                first.work()
            finished = True
        except Killed:
            place += 1
        ended = {number for number, trial in Ledger(folder.ledger.path).trials.items() if trial.ended}
        second = Driver(reopened(folder), trained=first.trained)
        second.work()
        assert not ended & set(second.ran), "finished trials are not run again"
        assert second.ran == sorted(second.ran)
        trials = second.folder.ledger.trials
        assert sorted(trials) == [0, 1, 2]
        assert all(trial.ended for trial in trials.values())
        assert [trial.origin for trial in trials.values()] == ["start", "start", "search"]
        assert max(first.trained.values()) <= EPOCHS
        for number in (0, 1):
            assert trials[number].values == undisturbed.folder.ledger.trials[number].values
            assert trials[number].state == undisturbed.folder.ledger.trials[number].state
        check_optuna(second.folder)
    assert place > 15
