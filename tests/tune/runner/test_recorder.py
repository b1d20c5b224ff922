"""A study's runs in a real MLflow store, through lost answers, killed drivers and a lost server."""

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.tune.runner.outcome import check_runs, find_all
from tests.tune.runner.sessions import EPOCHS, Driver, new_study, score
from tests.tune.tracking.server import Server, wait_until
from tune.runner.recorder import StudyRecorder
from tune.runner.replay import send_unsent
from tune.study.folder import StudyFolder
from tune.study.ranking import base_trial, base_untested, best_trial, untested
from tune.tracking.children import PARENT_TAG, SEED_TAG, TRIAL_TAG, Children
from tune.tracking.store import Store, connect

CARD = {"dataset": "demo", "sha256": "0" * 64}
TAGS = {PARENT_TAG: "parent", TRIAL_TAG: "0", SEED_TAG: "3"}


@pytest.fixture
def store(sqlite_uri: str) -> Store:
    return connect(sqlite_uri, "dclf")


def opened(folder: StudyFolder, store: Store) -> StudyRecorder:
    recorder = StudyRecorder(store, folder)
    recorder.open(CARD)
    return recorder


def points(store: Store, run_id: str, key: str = "val/wf1") -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in store.client.get_metric_history(run_id, key))


def test_a_study_is_a_parent_and_a_run_per_trial_and_seed(tmp_path: Path, store: Store) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=3, seeds=2, start_points=({"loss.window": 3},))
    recorder = opened(folder, store)
    Driver(folder, recorder).work()
    recorder.close("FINISHED", "finished")
    check_runs(folder, store)
    for trial in folder.ledger.trials.values():
        for run in trial.runs.values():
            assert [step for step, _ in points(store, run.run_id)] == list(range(1, EPOCHS + 1))
            assert points(store, run.run_id, "objective/wf1") == [(EPOCHS, run.values[0])]
    parent = store.client.get_run(recorder.run_id)
    assert parent.data.metrics["trials/complete"] == 3
    assert parent.data.metrics["best/val_wf1"] == max(trial.values[0] for trial in folder.ledger.trials.values())
    assert points(store, recorder.run_id, "trials/complete") == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_ctrl_c_while_the_last_records_are_sent_costs_no_finished_study_its_result(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, log_messages: list[str]
) -> None:
    recorder = opened(new_study(tmp_path, uri=store.uri, trials=1), store)
    assert recorder._outbox.flush(60)
    with monkeypatch.context() as once:

        def interrupt(*_: object, **_options: object) -> bool:
            once.undo()
            raise KeyboardInterrupt

        once.setattr(recorder._outbox, "flush", interrupt)
        recorder.close("FINISHED", "finished")
    assert log_messages == ["not all of this study has reached MLflow; send it the rest with: dclf doctor gammas --fix"]
    assert recorder._guardian._child.poll() is not None, "it would call the run KILLED"


def peaked(params: Mapping[str, Any], seed: int, epoch: int) -> float:
    """A score that is best after the second epoch."""
    return score(params, seed, min(epoch, EPOCHS - epoch))


def test_child_and_parent_tell_the_same_best_epoch(tmp_path: Path, store: Store) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=2)
    recorder = opened(folder, store)
    Driver(folder, recorder, score=peaked).work()
    recorder.close("FINISHED", "finished")
    best = best_trial(folder)
    assert best is not None
    run, parent = (store.client.get_run(run_id).data.metrics for run_id in (best.runs[3].run_id, recorder.run_id))
    assert run["best/epoch"] == 2
    assert run["best/val_wf1"] == parent["best/val_wf1"] == best.values[0] > run["val/wf1"]


@pytest.mark.parametrize("test", ["best", "all"])
def test_the_parent_has_the_test_scores_of_a_winner_once(tmp_path: Path, store: Store, test: str) -> None:
    new_study(tmp_path, uri=store.uri, trials=2, seeds=2, test=test)
    # The second driver finds all done, as after a kill before the report was written.
    for _ in range(2):
        folder = StudyFolder.open(tmp_path, "gammas")
        recorder = opened(folder, store)
        driver = Driver(folder, recorder, score=lambda *trained: 1 - score(*trained))
        driver.work()
        for number, seed in [*untested(folder), *base_untested(folder)]:
            driver.session.record_test(number, seed, {"wf1": (seed + number) / 10, "wa": 0.5, "f1/joy!": 0.25})
        driver.session.conclude()
        recorder.close("FINISHED", "finished")
    metrics = store.client.get_run(recorder.run_id).data.metrics
    scores = {name: value for name, value in metrics.items() if name.startswith("test/")}
    best, base = best_trial(folder), base_trial(folder)
    assert best is not None
    assert base is not None
    assert best != base
    expected = {"test/wf1": pytest.approx(0.35 + best.number / 10), "test/wa": 0.5, "test/f1/joy_": 0.25}
    gain = {"test/gain_wf1": pytest.approx((best.number - base.number) / 10)}
    assert scores == ({**expected, **gain} if test == "best" else {})
    assert metrics.get("base/test_wf1") == (pytest.approx(0.35 + base.number / 10) if test == "best" else None)
    for name in ("best/val_wf1", *scores):
        steps = [step for step, _ in points(store, recorder.run_id, name)]
        assert steps == sorted(set(steps)), "each value is there once"


def test_short_epochs_share_a_request(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=1)
    requests: list[set[int]] = []
    batches: Counter[str] = Counter()
    log_batch = store.client.log_batch

    def log(run_id: str, metrics: Sequence[Any] = (), **rest: Any) -> None:
        requests.append({metric.step for metric in metrics if metric.key == "val/wf1"})
        batches[run_id] += 1
        log_batch(run_id, metrics=metrics, **rest)

    monkeypatch.setattr(store.client, "log_batch", log)
    monkeypatch.setattr("tune.runner.recorder.SEND_EVERY_S", 600.0)
    recorder = opened(folder, store)
    Driver(folder, recorder).work()
    recorder.close("FINISHED", "finished")
    assert [steps for steps in requests if steps] == [set(range(1, EPOCHS + 1))]
    (run,) = folder.ledger.trials[0].runs.values()
    assert batches[run.run_id] == 2, "parameters, and at the end metrics and tags together"
    check_runs(folder, store)


def test_tags_that_mlflow_refuses_take_nothing_else_with_them(
    tmp_path: Path, store: Store, log_messages: list[str]
) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=1, tags={"purpose": "test", "a?b": "c", "dclf.trial": "17"})
    recorder = opened(folder, store)
    Driver(folder, recorder).work()
    recorder.close("FINISHED", "finished")
    assert [note.partition(":")[0] for note in log_messages] == ["MLflow refused tags of this run"]
    check_runs(folder, store)
    (child,) = folder.ledger.trials[0].runs.values()
    runs = [store.client.get_run(run_id) for run_id in (recorder.run_id, child.run_id)]
    for run in runs:
        assert {"version.torch", "host", "command"} <= run.data.tags.keys()
        assert not {"purpose", "a?b"} & run.data.tags.keys()
    assert (runs[1].data.tags["seed"], runs[1].data.tags[TRIAL_TAG]) == ("3", "0")
    assert "loss.window" in runs[1].data.params


def test_tags_of_the_user_are_on_the_parent_and_on_every_child(tmp_path: Path, store: Store) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=1, tags={"purpose": "test"})
    recorder = opened(folder, store)
    Driver(folder, recorder).work()
    recorder.close("FINISHED", "finished")
    (child,) = folder.ledger.trials[0].runs.values()
    for run_id in (recorder.run_id, child.run_id):
        assert store.client.get_run(run_id).data.tags["purpose"] == "test"


def test_a_trial_that_fails_before_its_run_is_open_is_recorded_as_failed(tmp_path: Path, store: Store) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=1)
    recorder = opened(folder, store)
    driver = Driver(folder, recorder)
    trial = driver.session.next()
    assert trial is not None
    driver.session.start(trial)
    driver.session.fail(trial.number, "out of memory")
    recorder.close("FINISHED", "finished")
    check_runs(folder, store)
    run = store.client.get_run(folder.ledger.trials[0].runs[3].run_id)
    assert run.data.tags["dclf.status"] == "failed: out of memory"


def test_an_interrupted_study_leaves_no_run_running_and_goes_on_in_the_same_ones(tmp_path: Path, store: Store) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=2, seeds=2)
    recorder = opened(folder, store)
    first = Driver(folder, recorder)
    trial = first.session.next()
    assert trial is not None
    first.session.start(trial)
    first.session.record_step(first.step_of(trial, 3, EPOCHS))
    first.session.record_step(first.step_of(trial, 4, 2))
    recorder.close("KILLED", "killed: Ctrl-C")
    left = find_all(folder, store.uri)
    assert {run.info.status for run in left} == {"KILLED"}
    again = StudyFolder.open(tmp_path, "gammas")
    send_unsent(again, store)
    later = opened(again, store)
    Driver(again, later, trained={(0, 3): EPOCHS, (0, 4): 2}).work()
    later.close("FINISHED", "finished")
    check_runs(again, store)
    assert {run.info.run_id for run in left} <= {run.info.run_id for run in find_all(again, store.uri)}
    for run in again.ledger.trials[0].runs.values():
        assert [step for step, _ in points(store, run.run_id)] == list(range(1, EPOCHS + 1))


def test_epochs_that_a_restarted_trial_tells_again_are_there_once(tmp_path: Path, store: Store) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=1)
    recorder = opened(folder, store)
    driver = Driver(folder, recorder)
    trial = driver.session.next()
    assert trial is not None
    driver.session.start(trial)
    # Each tells all epochs so far.
    for epoch in (2, 2, EPOCHS):
        driver.session.record_step(driver.step_of(trial, 3, epoch))
    driver.session.finish(trial)
    recorder.close("FINISHED", "finished")
    check_runs(folder, store)
    run_id = folder.ledger.trials[0].runs[3].run_id
    assert [step for step, _ in points(store, run_id)] == list(range(1, EPOCHS + 1))


def test_a_run_whose_making_got_no_answer_is_not_made_twice(tmp_path: Path, store: Store) -> None:
    folder = new_study(tmp_path, uri=store.uri)
    tags = {**TAGS, "dclf.study": folder.definition.name, "dclf.kind": "trial"}
    Children(store, "gammas", lambda *_: None).open((0, 3), "gammas-0", tags, "", look=False)
    heard: list[tuple[int, int, str]] = []
    Children(store, "gammas", lambda *run: heard.append(run)).open((0, 3), "gammas-0", tags, "", look=True)
    assert [(0, 3, run.info.run_id) for run in find_all(folder, store.uri)] == heard


CRASH = """
import os, sys
from pathlib import Path
from tests.tune.runner.sessions import Driver
from tests.tune.runner.test_recorder import opened
from tune.study.folder import StudyFolder
from tune.tracking.store import connect
folder = StudyFolder.open(sys.argv[1], "gammas")
driver = Driver(folder, opened(folder, connect(sys.argv[2], "dclf")))
driver.run(driver.session.next())
trial = driver.session.next()
driver.session.start(trial)
driver.session.record_step(driver.step_of(trial, 3, 2))
os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_what_a_killed_driver_had_not_sent_is_made_again(tmp_path: Path, store: Store) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=3)
    crashed = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path), store.uri], check=False)
    assert crashed.returncode == -9
    again = StudyFolder.open(tmp_path, "gammas")
    send_unsent(again, store)
    recorder = opened(again, store)
    Driver(again, recorder, trained={(1, 3): 2}).work()
    recorder.close("FINISHED", "finished")
    check_runs(again, store)
    assert sorted(again.ledger.trials) == [0, 1, 2]
    assert folder.definition.name == again.definition.name


@pytest.mark.slow
@pytest.mark.mlflow
def test_a_lost_server_loses_nothing(tmp_path: Path, server: Server, log_messages: list[str]) -> None:
    store = connect(server.uri, "dclf")
    folder = new_study(tmp_path, uri=server.uri, trials=4)
    recorder = opened(folder, store)
    driver = Driver(folder, recorder)
    first = driver.session.next()
    assert first is not None
    driver.run(first)
    server.kill()
    trial = driver.session.next()
    assert trial is not None
    driver.run(trial)
    wait_until(lambda: any("MLflow does not answer" in note for note in log_messages), 60)
    driver.work()
    server.start()
    recorder.close("FINISHED", "finished")
    check_runs(folder, store)
    for trial in folder.ledger.trials.values():
        assert [step for step, _ in points(store, trial.runs[3].run_id)] == list(range(1, EPOCHS + 1))
    assert any("MLflow answers again" in note for note in log_messages)
