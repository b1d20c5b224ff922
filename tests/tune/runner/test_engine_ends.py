"""How the engine sorts what ends a trial, and what ends the study."""

import errno
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError

from cluster.failures import LeaderLostError, NoRoomError
from cluster.plan import PlanError
from cluster.signals import Terminated
from cluster.storage import StorageError
from dclf.objective import NonFiniteLossError
from tests.tune.runner.disks import SmallDisk
from tests.tune.runner.sessions import Driver, new_study
from tune.runner.adapters import Interrupt, TuneCallback, last_error
from tune.runner.engine import MAX_FAILURES, Engine
from tune.runner.illustrator import Illustrator
from tune.runner.session import Task
from tune.runner.trainable import TrialJob, failure_of, reason_of
from tune.study.disk import disk_trouble, says_full
from tune.study.events import Event, Listener, TrialChanged
from tune.study.ledger import TrialRecord

FIRST, SECOND = Task(number=0, seeds=(3,)), Task(number=1, seeds=(3,))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return new_engine(tmp_path)


def new_engine(folder: Path, *, own_ray: bool = False, listeners: Sequence[Listener] = (), **settings: Any) -> Engine:
    """Of a study of two trials, of which the first runs."""
    session = Driver(new_study(folder, trials=2, **settings), listeners=listeners).session
    job = TrialJob(
        config={},
        folder=str(session.folder.path),
        objectives=("wf1",),
        workers=0,
        source=None,
        checkpoint_s=0,
        decisions=(),
    )
    sweep_engine = Engine(session, job, slots=[{"CPU": 1.0}], concurrency=1, own_ray=own_ray)
    config = sweep_engine.next()
    assert config is not None
    sweep_engine.on_start(FIRST)
    return sweep_engine


def state(engine: Engine) -> tuple[str, str]:
    trial = engine._session.ledger.trials[0]
    return trial.state, trial.reason


def test_a_worker_that_ray_ended_for_memory_is_said_to_be_out_of_memory(engine: Engine) -> None:
    engine.on_loss(
        FIRST, OutOfMemoryError("Task was killed due to the node running low on memory."), failures=MAX_FAILURES + 1
    )
    assert state(engine)[0] == "failed"
    assert state(engine)[1].startswith("out of memory: Ray ended its worker")


def test_a_worker_that_was_lost_for_another_reason_is_said_to_be_lost(engine: Engine) -> None:
    engine.on_loss(FIRST, RuntimeError("\n\nthe actor died\nmore"), failures=MAX_FAILURES + 1)
    assert state(engine) == ("failed", "its worker was lost 4 times (the actor died)")
    assert engine.interrupted is None


def test_a_worker_that_died_of_memory_is_said_to_be_out_of_memory(engine: Engine) -> None:
    engine.on_loss(
        FIRST, RuntimeError("2 worker(s) were killed due to the node running low on memory."), failures=MAX_FAILURES + 1
    )
    assert state(engine)[1].startswith("out of memory: Ray ended its worker")


def test_a_machine_that_runs_out_of_memory_ends_the_study_with_what_to_do(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What Ray Tune raises where the worker is in the midst of a step, and not between two.
    def fit() -> None:
        raise RuntimeError(
            "Caught unexpected exception: 1 worker(s) were killed due to the node running low on memory.\nmore"
        )

    monkeypatch.setattr(engine, "_tuner", lambda: SimpleNamespace(fit=fit))
    with pytest.raises(
        NoRoomError, match=r"^a machine ran out of memory, .* then resume: trials go on from their last"
    ):
        engine.run()
    assert state(engine) == ("running", "")


def test_an_error_that_came_with_every_worker_is_told(engine: Engine) -> None:
    engine.on_loss(
        FIRST, RayTaskError("restore", "Traceback\nmore", ValueError("shapes differ\nmore")), failures=MAX_FAILURES + 1
    )
    assert state(engine) == ("failed", "failed 4 times, at last with ValueError: shapes differ")


def test_a_trial_that_lost_its_worker_before_it_began_is_handed_out_again_but_not_for_ever(engine: Engine) -> None:
    # Ray Tune gives up a trial at once whose worker dies between two trials.
    second = engine.next()
    assert second is not None
    for _ in range(MAX_FAILURES):
        engine.on_loss(SECOND, RuntimeError("the actor died"), failures=1)
        assert engine._session.has_unfinished
        assert engine.next() == second
    assert not engine._session.has_unfinished
    engine.on_loss(SECOND, RuntimeError("the actor died"), failures=1)
    assert not engine._session.has_unfinished
    trials = engine._session.ledger.trials
    assert [trials[number].state for number in (0, 1)] == ["running", "failed"]


def test_a_machine_that_takes_several_trainings_of_a_trial_with_it_counts_once_for_each(tmp_path: Path) -> None:
    engine = new_engine(tmp_path, seeds=MAX_FAILURES + 2, test="all")
    tasks = [Task(number=0, seeds=(seed,)) for seed in range(3, 3 + MAX_FAILURES + 2)]
    configs = [engine.next() for _ in tasks[1:]]
    for task in tasks[1:]:
        engine.on_loss(task, RuntimeError("the actor died"), failures=1)
    assert state(engine) == ("running", "")
    assert [engine.next() for _ in tasks[1:]] == configs


def test_the_latest_error_is_read_from_what_ray_tune_wrote(tmp_path: Path) -> None:
    text, pickled = tmp_path / "error.txt", tmp_path / "error.pkl"
    assert last_error(None, None) is None
    assert last_error(str(text), None) is None
    raised = ActorDiedError()
    pickled.write_bytes(cloudpickle.dumps(raised))
    text.write_text(f"Failure # 1 (occurred at 2026-11-23_10-00-00)\n{raised}\n")
    assert isinstance(last_error(str(text), str(pickled)), ActorDiedError)
    with text.open("a") as file:
        file.write("Failure # 2 (occurred at 2026-11-23_10-00-09)\nthe node running low on memory\n")
    assert str(last_error(str(text), str(pickled))) == "the node running low on memory"


def test_trials_without_room_for_their_workers_end_the_study_and_stay_unfinished(engine: Engine) -> None:
    failure = failure_of(PlanError("train.workers 2 needs 5 CPU slots\nmore"), engine._job.folder)
    assert failure is not None
    engine.on_end(FIRST, failure, pruned=False)
    assert state(engine) == ("running", "")
    assert isinstance(engine.interrupted, NoRoomError)
    assert "no room for trial 0 now (PlanError: train.workers 2 needs 5 CPU slots); see" in str(engine.interrupted)
    assert failure_of(NoRoomError("the workers could not be started"), engine._job.folder) == {
        "error": "NoRoomError: the workers could not be started",
        "no_room": True,
    }
    assert failure_of(LeaderLostError("lost"), engine._job.folder) is None, "another attempt may do"


def test_a_study_of_which_no_trial_runs_says_what_it_waits_for(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    monkeypatch.setattr(engine._waiting, "goes_on", lambda: looks.append("goes on"))
    monkeypatch.setattr(engine._waiting, "look", lambda: looks.append("waits"))
    listener = TuneCallback(engine)
    for statuses in (("TERMINATED", "RUNNING"), ("TERMINATED", "PENDING"), ()):
        listener.on_step_end(1, [SimpleNamespace(status=status) for status in statuses])
    assert looks == ["goes on", "waits", "waits"]
    assert engine._waiting._needs == "a trial needs 1 CPU on one machine"


def test_a_listener_s_error_ends_the_study_and_is_what_its_driver_raises(tmp_path: Path) -> None:
    class FullError(Exception):
        """A listener's own."""

    def listen(event: Event) -> None:
        if isinstance(event, TrialChanged) and event.trial.ended:
            raise FullError

    engine = new_engine(tmp_path, listeners=[listen])
    engine.on_end(FIRST, {"error": "NonFiniteLossError: ce"}, pruned=False)
    assert isinstance(engine.interrupted, FullError), "Ray Tune would hide it and go on"
    assert state(engine) == ("failed", "NonFiniteLossError: ce")
    assert Interrupt(engine).stop_all()


def test_a_drawing_that_cannot_be_started_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("tune.runner.illustrator.FIRST_S", 0.0)
    monkeypatch.setattr(subprocess, "Popen", none_left)
    illustrator = Illustrator(tmp_path, tmp_path / "live", pytest.fail)
    illustrator(TrialChanged(TrialRecord(number=0, params={}, state="complete")))
    illustrator.close()


def test_an_error_of_a_trial_fails_it(engine: Engine) -> None:
    engine.on_end(FIRST, {"error": "NonFiniteLossError: ce"}, pruned=False)
    assert state(engine) == ("failed", "NonFiniteLossError: ce")


def test_a_trial_that_could_not_be_kept_ends_the_study_and_stays_unfinished(engine: Engine) -> None:
    engine.on_end(FIRST, {"error": "no space left on device", "disk_full": True}, pruned=False)
    assert state(engine) == ("running", "")
    assert isinstance(engine.interrupted, StorageError)
    assert "then resume" in str(engine.interrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_trials_end_their_epoch_and_the_second_does_not(
    engine: Engine, number: signal.Signals
) -> None:
    with engine._signals():
        signal.raise_signal(number)
        assert isinstance(engine.interrupted, Terminated if number == signal.SIGTERM else KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_a_queues_signal_ends_at_once_what_runs_on_a_ray_of_its_own_group(tmp_path: Path) -> None:
    engine = new_engine(tmp_path, own_ray=True)
    with engine._signals(), pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)
    assert state(engine) == ("running", ""), "to be resumed"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory (MemoryError)"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out of memory ("),
        (RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"), "out of memory ("),
        (NonFiniteLossError("epoch 1: ce is nan"), "NonFiniteLossError: epoch 1: ce is nan"),
        (ValueError("window must be at least 1\nmore"), "ValueError: window must be at least 1"),
        (RuntimeError("connection reset"), None),
        (ConnectionResetError(errno.ECONNRESET, "reset"), None),
    ],
)
def test_what_would_come_again_is_named_and_the_rest_is_tried_again(error: Exception, reason: str | None) -> None:
    text = reason_of(error)
    assert (text is None) == (reason is None)
    assert reason is None or (text or "").startswith(reason)


def test_a_full_disk_is_found_behind_other_errors() -> None:
    wrapped = RuntimeError("torch could not write")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert says_full(wrapped)
    assert not says_full(RuntimeError("connection reset"))
    assert not says_full(None)


def test_a_folder_is_asked_whether_it_can_be_written(tmp_path: Path) -> None:
    assert disk_trouble(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with SmallDisk(tmp_path / "small", mib=2) as disk:
        assert disk_trouble(tmp_path / "small") is None
        disk.fill()
        trouble = disk_trouble(tmp_path / "small")
        assert str(tmp_path / "small") in str(trouble)
        assert "No space left on device" in str(trouble)
