"""A study that a kill cut off anywhere is put right, by the doctor and by resuming; sending again changes nothing."""

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from tests.tune.runner.sessions import EPOCHS, Driver, new_study
from tests.tune.runner.study_writer import SEED, Writer, check, healthy, points, replay_all
from tests.tune.runner.test_recorder import CARD
from tests.tune.tracking.server import wait_until
from tune.runner.doctor import Doctor
from tune.runner.recorder import StudyRecorder
from tune.runner.replay import begun_seeds, send_unsent
from tune.study.folder import StudyFolder
from tune.study.history import read_history, write_history
from tune.study.ledger import ENDED
from tune.study.parent import parent_id
from tune.study.sent_marks import unsent_trials
from tune.tracking.children import TRIAL_TAG, find_runs
from tune.tracking.store import Store, TrackingError, connect


@pytest.fixture
def store(sqlite_uri: str) -> Store:
    return connect(sqlite_uri, "dclf")


@pytest.mark.slow
# An example takes a second or two: one that fails is not made smaller.
@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
@example(steps=1, sends=0, torn=False)
@example(steps=2, sends=0, torn=False)
@example(steps=7, sends=1, torn=True)
@given(steps=st.integers(1, 45), sends=st.integers(0, 60), torn=st.booleans())
def test_a_kill_anywhere_is_mended_once_and_for_all(empty_store: Path, steps: int, sends: int, torn: bool) -> None:
    with TemporaryDirectory() as place:
        storage = Path(place)
        store = connect(f"sqlite:///{shutil.copy(empty_store, storage / 'mlflow.db')}", "dclf")
        Writer(storage, store).write(steps, sends, torn=torn)
        Doctor(storage).mend("gammas")
        assert healthy(storage)
        folder = StudyFolder.open(storage, "gammas")
        check(folder, store)
        before = points(store, "gammas")
        send_unsent(folder, store)
        # Epochs of a trial that has not ended may be new.
        assert before.items() <= points(store, "gammas").items()
        assert send_unsent(folder, store) == []


@pytest.mark.slow
@settings(max_examples=10, phases=[Phase.explicit, Phase.generate])
@example(steps=2, sends=0, torn=False)
@example(steps=7, sends=1, torn=True)
@given(steps=st.integers(2, 45), sends=st.integers(0, 60), torn=st.booleans())
def test_a_study_that_is_resumed_lacks_nothing(empty_store: Path, steps: int, sends: int, torn: bool) -> None:
    with TemporaryDirectory() as place:
        storage = Path(place)
        store = connect(f"sqlite:///{shutil.copy(empty_store, storage / 'mlflow.db')}", "dclf")
        folder = Writer(storage, store).write(steps, sends, torn=torn)
        send_unsent(folder, store)
        resumed(folder, store).close("KILLED", "killed: Ctrl-C")
        assert [finding for finding in Doctor(storage).look("gammas").findings if finding.subject != "Optuna"] == []
        parent = store.client.get_run(parent_id(folder) or "")
        ended = [trial for trial in folder.ledger.trials.values() if trial.state in ENDED]
        assert sum(value for name, value in parent.data.metrics.items() if name.startswith("trials/")) == len(ended)
        assert send_unsent(StudyFolder.open(storage, "gammas"), store) == []


def resumed(folder: StudyFolder, store: Store) -> StudyRecorder:
    recorder = StudyRecorder(store, folder)
    recorder.open(CARD)
    return recorder


@pytest.mark.slow
def test_sending_everything_again_changes_nothing(tmp_path: Path, store: Store) -> None:
    folder = Writer(tmp_path, store, {"seeds": 2}).write()
    folder.ledger.test(0, SEED, {"wf1": 0.25, "wa": 0.5})
    replay_all(folder, store)
    once = points(store, "gammas")
    assert {step for step, *_ in once[folder.ledger.trials[0].runs[SEED].run_id, "val/wf1"]} == {1, 2, 3}
    replay_all(folder, store)
    assert points(store, "gammas") == once


@pytest.mark.slow
def test_what_was_sent_live_and_again_is_there_once(tmp_path: Path, store: Store) -> None:
    folder = Writer(tmp_path, store, {"seeds": 2}).write()
    live = points(store, "gammas")
    replay_all(folder, store)
    assert points(store, "gammas") == live


@pytest.mark.parametrize("sends", [0, None])
def test_epochs_of_an_earlier_version_are_there_once(tmp_path: Path, store: Store, sends: int | None) -> None:
    folder = Writer(tmp_path, store).write(sends=sends)
    before = points(store, "gammas")
    for trial in folder.ledger.trials.values():
        place = folder.checkpoint(trial.number, SEED)
        write_history(place, [replace(report, ended=0.0) for report in read_history(place)])
    for _ in range(2):
        replay_all(folder, store)
    trial = folder.ledger.trials[0]
    key = trial.runs[SEED].run_id, "val/wf1"
    after = points(store, "gammas")[key]
    assert [step for step, *_ in after] == [1, 2, 3]
    if sends is None:
        assert after == before[key], "the run keeps the times that it has"
    else:
        assert [time for _, time, _ in after] == [round(1000 * (trial.started or 0) + 500 * step) for step in (1, 2, 3)]


def test_an_undisturbed_study_has_nothing_to_mend(tmp_path: Path, store: Store) -> None:
    folder = Writer(tmp_path, store, {"seeds": 2}).write()
    report = Doctor(tmp_path).look("gammas")
    # The driver stopped without a word: the parent, and the two runs of the trial that it worked on.
    assert [finding.subject for finding in report.findings] == ["the study", "trial 3 seed 4", "trial 3 seed 5"]
    assert {trial.state for trial in folder.ledger.trials.values()} == {"complete", "pruned", "failed", "running"}


def test_looking_changes_nothing(tmp_path: Path, store: Store) -> None:
    Writer(tmp_path, store).write(30, 20)
    before = _everything(tmp_path, store)
    assert not Doctor(tmp_path).look("gammas").agrees
    assert _everything(tmp_path, store) == before


@pytest.mark.slow
def test_resuming_mends_all_but_the_parent_that_it_takes_up(
    tmp_path: Path, store: Store, log_messages: list[str]
) -> None:
    folder = Writer(tmp_path, store).write(sends=12)
    assert send_unsent(folder, store) == ["MLflow: 4 trainings sent again"]
    assert log_messages == ["MLflow: sending 4 trainings again, as the last driver may have left them unsent"]
    left = Doctor(tmp_path).look("gammas").findings
    assert [(finding.subject, finding.remedy) for finding in left] == [("the study", "it is marked KILLED")]


def test_what_was_marked_as_sent_is_not_sent_again(tmp_path: Path, store: Store) -> None:
    folder = Writer(tmp_path, store).write()
    send_unsent(folder, store)
    driver = resumed(folder, store)
    # Trial 3 goes on; a kill comes then.
    folder.ledger.note("begin")
    driver.trial(folder.ledger.trials[3], SEED, folder.definition.base)
    assert [trial.number for trial in unsent_trials(folder)] == [3]
    folder.ledger.seed_done(3, SEED, (0.5,), 1)
    folder.ledger.end(3, "complete", (0.5,))
    driver.ended(folder.ledger.trials[3])
    driver.progress()
    assert [trial.number for trial in unsent_trials(StudyFolder.open(tmp_path, "gammas"))] == [3]
    driver.close("FINISHED", "finished")
    assert unsent_trials(StudyFolder.open(tmp_path, "gammas")) == []


def test_a_long_study_is_marked_now_and_then(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune.runner.recorder.MARK_S", 0.0)
    folder = Writer(tmp_path, store).write()
    driver = resumed(folder, store)
    folder.ledger.note("begin")
    folder.ledger.end(3, "failed", reason="out of memory")
    driver.ended(folder.ledger.trials[3])
    driver.progress()
    wait_until(lambda: unsent_trials(folder) == [])
    assert not folder.ledger.notes[-1]["closed"]
    driver.close("FINISHED", "finished")


def test_a_second_run_and_a_strange_one_are_deleted(tmp_path: Path, store: Store) -> None:
    writer = Writer(tmp_path, store)
    folder = writer.write()
    first = folder.ledger.trials[0].runs[4].run_id
    tags = {**store.client.get_run(first).data.tags}
    second = store.client.create_run(store.experiment_id, tags=tags, start_time=1).info.run_id
    strange = store.client.create_run(store.experiment_id, tags={**tags, TRIAL_TAG: "17"}).info.run_id
    # Another study of the same name, in another storage: none of our business.
    other = store.client.create_run(store.experiment_id, tags={**tags, "mlflow.parentRunId": "another"}).info.run_id
    report = Doctor(tmp_path).mend("gammas")
    assert report.agrees
    stages = {run: store.client.get_run(run).info.lifecycle_stage for run in (first, second, strange, other)}
    assert stages == {first: "active", second: "deleted", strange: "deleted", other: "active"}


def test_the_oldest_run_stays_where_the_ledger_names_none(tmp_path: Path, store: Store) -> None:
    writer = Writer(tmp_path, store)
    writer.write(11, 1, torn=True)
    oldest = next(run for run in find_runs(store, "gammas") if TRIAL_TAG in run.data.tags)
    store.client.create_run(store.experiment_id, tags=dict(oldest.data.tags))
    assert Doctor(tmp_path).mend("gammas").agrees
    assert StudyFolder.open(tmp_path, "gammas").ledger.trials[0].runs[4].run_id == oldest.info.run_id


@pytest.mark.parametrize("gone", ["deleted", "purged"])
def test_runs_that_somebody_deleted_come_back(tmp_path: Path, store: Store, gone: str) -> None:
    folder = Writer(tmp_path, store).write()
    Doctor(tmp_path).mend("gammas")
    lost = [parent_id(folder) or "", *(trial.runs[4].run_id for trial in folder.ledger.trials.values())]
    for run in lost:
        store.client.delete_run(run)
        if gone == "purged":
            store.client._tracking_client.store._hard_delete_run(run)
    subjects = [finding.subject for finding in Doctor(tmp_path).look("gammas").findings]
    assert subjects == ["the study", *(f"trial {number}" for number in range(4))]
    with pytest.raises(TrackingError, match="dclf doctor gammas --fix"):
        send_unsent(folder, store)
    assert Doctor(tmp_path).mend("gammas").agrees
    after = StudyFolder.open(tmp_path, "gammas")
    check(after, store)
    assert (parent_id(after) in lost) == (gone == "deleted")
    parents = {run.data.tags.get("mlflow.parentRunId") for run in find_runs(store, "gammas")}
    assert parents == {None, parent_id(after)}


def test_test_scores_are_sent_again(tmp_path: Path, store: Store) -> None:
    folder = Writer(tmp_path, store).write()
    Doctor(tmp_path).mend("gammas")
    StudyFolder.open(tmp_path, "gammas").ledger.note("test", number=0, seed=4, scores={"wf1": 0.25, "wa": 0.5})
    (finding,) = Doctor(tmp_path).look("gammas").findings
    assert "lacks its test scores" in finding.problem
    assert Doctor(tmp_path).mend("gammas").agrees
    assert store.client.get_run(folder.ledger.trials[0].runs[4].run_id).data.metrics["test/wf1"] == 0.25


def test_a_store_that_never_held_the_study_is_refused(tmp_path: Path, store: Store, empty_store: Path) -> None:
    folder = Writer(tmp_path, store).write()
    other = connect(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'other.db')}", "dclf")
    with pytest.raises(TrackingError, match=r"the study is recorded at sqlite:.*MLFLOW_TRACKING_URI"):
        send_unsent(folder, other)
    assert find_runs(other, "gammas") == []


def test_epochs_that_nobody_kept_are_left_missing(tmp_path: Path, store: Store) -> None:
    folder = Writer(tmp_path, store).write(sends=12)
    shutil.rmtree(folder.checkpoint(1, 4))
    report = Doctor(tmp_path).mend("gammas")
    assert [finding.problem.partition(" lacks ")[2] for finding in report.findings] == ["epochs 1 to 1"]
    assert not report.agrees


def _everything(storage: Path, store: Store) -> tuple[list[object], dict[str, bytes]]:
    runs = [run.to_dictionary() for run in find_runs(store, "gammas")]
    study = storage / "gammas"
    return runs, {str(path): path.read_bytes() for path in sorted(study.rglob("*")) if path.is_file()}


def test_the_parent_that_the_ledger_does_not_name_is_found(tmp_path: Path, store: Store) -> None:
    folder = Writer(tmp_path, store).write(2)
    assert parent_id(folder) is None
    assert Doctor(tmp_path).mend("gammas").agrees
    (run,) = find_runs(store, "gammas")
    assert parent_id(StudyFolder.open(tmp_path, "gammas")) == run.info.run_id
    assert run.info.status == "KILLED"


@pytest.mark.parametrize(("test", "seeds"), [("all", [3]), ("best", [3, 4])])
def test_a_training_of_a_comparison_that_never_began_gets_no_run(tmp_path: Path, test: str, seeds: list[int]) -> None:
    """It may be taken over from another study; a search's next training may have begun unseen."""
    folder = new_study(tmp_path, trials=1, seeds=3, test=test)
    driver = Driver(folder)
    task = driver.session.next()
    assert task is not None
    driver.session.start(task)
    driver.session.record_step(driver.step_of(task, 3, EPOCHS))
    reopened = StudyFolder.open(tmp_path, folder.definition.name)
    assert begun_seeds(reopened, reopened.ledger.trials[0]) == seeds
