"""The outbox against a real server that is killed and comes back, and against failures no server gives to order."""

import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.tune.tracking.samples import CARD, CONFIG, epoch, final
from tests.tune.tracking.server import Server, wait_until
from tune.tracking import writes
from tune.tracking.outbox import Outbox
from tune.tracking.run import RunTracker
from tune.tracking.spool import Address, Spool, read_spool, send_spool
from tune.tracking.store import Store, TrackingError, connect
from tune.tracking.writes import Write

ADDRESS = Address("sqlite:///x", "r1", "1")


def steps(items: list[Write]) -> list[int]:
    return [write.body["step"] for write in items]


class Receiver:
    """Takes writes, or fails as long as it is told to."""

    def __init__(self) -> None:
        self.taken: list[Write] = []
        self.failure: Exception | None = None
        self.attempts = 0

    def __call__(self, write: Write) -> None:
        self.attempts += 1
        if self.failure is not None:
            raise self.failure
        self.taken.append(write)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def test_writes_arrive_in_order(receiver: Receiver, tmp_path: Path) -> None:
    outbox = Outbox(receiver, Spool(tmp_path, ADDRESS))
    for step in range(100):
        outbox.put(writes.metrics({"x": 1.0}, step))
    assert outbox.close(10) is None
    assert steps(receiver.taken) == list(range(100))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_lost_while_the_server_is_away(receiver: Receiver, tmp_path: Path, log_messages: list[str]) -> None:
    spool = Spool(tmp_path, ADDRESS)
    outbox = Outbox(receiver, spool)
    receiver.failure = ConnectionRefusedError(111, "Connection refused")
    outbox.put(writes.metrics({"x": 1.0}, 0))
    wait_until(spool.path.exists)
    for step in range(1, 5):
        outbox.put(writes.metrics({"x": 1.0}, step))
    assert steps(read_spool(spool.path)[1]) == [0, 1, 2, 3, 4]
    receiver.failure = None
    assert outbox.flush(10)
    assert steps(receiver.taken) == [0, 1, 2, 3, 4]
    assert not spool.path.exists()
    wait_until(lambda: len(log_messages) == 2)
    assert "Connection refused" in log_messages[0]
    assert "answers again" in log_messages[1]
    assert outbox.close(10) is None


@pytest.mark.usefixtures("log_messages")
def test_what_is_left_is_kept_in_a_file(receiver: Receiver, tmp_path: Path) -> None:
    receiver.failure = ConnectionResetError()
    outbox = Outbox(receiver, Spool(tmp_path, ADDRESS))
    items = [writes.metrics({"x": float("nan")}, 3, timestamp=7), *writes.text_values("tags", {"a": "ü\n"})]
    for write in items:
        outbox.put(write)
    left = outbox.close(0.2)
    assert left == tmp_path / "unsent-r1" / "writes.jsonl"
    address, rest = read_spool(left)
    assert address == ADDRESS
    assert [write.to_json() for write in rest] == [write.to_json() for write in items]


def test_a_request_that_hangs_does_not_hold_the_end(tmp_path: Path) -> None:
    hanging = threading.Event()
    outbox = Outbox(lambda _write: hanging.wait() and None, Spool(tmp_path, ADDRESS))
    outbox.put(writes.metrics({"x": 1.0}, 0))
    left = outbox.close(0.2)
    hanging.set()
    assert left is not None
    assert steps(read_spool(left)[1]) == [0]


def test_an_interrupt_while_the_rest_is_sent_leaves_it_in_the_file(tmp_path: Path) -> None:
    hanging = threading.Event()

    def interrupting(_write: Write) -> None:
        wait_until(lambda: outbox._hurry)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        hanging.wait()

    outbox = Outbox(interrupting, spool := Spool(tmp_path, ADDRESS))
    for step in range(2):
        outbox.put(writes.metrics({"x": 1.0}, step))
    try:
        with pytest.raises(KeyboardInterrupt):
            outbox.close(1)  # a signal that comes just before it waits is seen only then
    finally:
        hanging.set()
    assert steps(read_spool(spool.path)[1]) == [0, 1]


@pytest.mark.slow
def test_a_slow_server_is_waited_for_as_long_as_it_takes_anything(tmp_path: Path) -> None:
    end = threading.Event()

    def slow(write: Write) -> None:
        end.wait(0.2)

    outbox = Outbox(slow, Spool(tmp_path, ADDRESS))
    for step in range(10):
        outbox.put(writes.metrics({"x": 1.0}, step))
    assert not outbox.flush(0.3)
    assert outbox.flush(1.0, patient=True)
    assert outbox.close(10) is None


@pytest.mark.slow
@pytest.mark.usefixtures("log_messages")
def test_pauses_grow(receiver: Receiver, tmp_path: Path) -> None:
    outbox = Outbox(receiver, Spool(tmp_path, ADDRESS))
    receiver.failure = ConnectionError()
    start = time.monotonic()
    outbox.put(writes.metrics({"x": 1.0}, 0))
    wait_until(lambda: receiver.attempts == 3)
    assert time.monotonic() - start >= 0.5 + 1.0
    receiver.failure = None
    assert outbox.close(10) is None


def test_a_full_disk_stops_nothing(receiver: Receiver, tmp_path: Path, log_messages: list[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    outbox = Outbox(receiver, Spool(tmp_path / "file", ADDRESS))
    receiver.failure = ConnectionError()
    outbox.put(writes.metrics({"x": 1.0}, 0))
    wait_until(lambda: len(log_messages) == 2)
    outbox.put(writes.metrics({"x": 1.0}, 1))
    receiver.failure = None
    assert outbox.close(10) is None
    assert "cannot be kept" in outbox.problems[0]
    assert steps(receiver.taken) == [0, 1]


def test_a_refused_write_is_told_and_left_out(store: Store, tmp_path: Path, log_messages: list[str]) -> None:
    with RunTracker(store, tmp_path) as tracker:
        tracker.start(CONFIG, CARD)
        tracker._put(writes.metrics({"bad\nname": 1.0}, 0), writes.metrics({"bad\nname": 1.0}, 1))
        tracker._put(writes.artifact(tmp_path / "absent.png"))
        tracker.epoch(epoch(1))
        tracker.finish(final(1))
    assert len(log_messages) == 2
    assert log_messages[0].startswith("MLflow refused metrics of this run: Invalid value")
    assert log_messages[1].startswith("MLflow refused artifact of this run: No such file")
    assert store.client.get_run(tracker.run_id).data.metrics["loss/ce"] == 1.0


@pytest.mark.mlflow
@pytest.mark.slow
def test_a_server_lost_in_mid_run_costs_nothing(
    server: Server, tmp_path: Path, trained_model: Path, log_messages: list[str]
) -> None:
    store = connect(server.uri, "lost")
    with RunTracker(store, tmp_path) as tracker:
        tracker.start(CONFIG, CARD)
        tracker.epoch(epoch(1))
        tracker.checkpoint("dclf-runs/it")
        assert tracker._outbox.flush(60)
        server.kill()
        for number in range(2, 8):
            tracker.epoch(epoch(number))
        wait_until(lambda: len(log_messages) == 1)
        server.start()
        for number in range(8, 11):
            tracker.epoch(epoch(number))
        tracker.finish(final(10), trained_model)
    assert "MLflow does not answer" in log_messages[0]
    assert "MLflow answers again" in log_messages[1]
    run = store.client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["dclf.checkpoint"] == str(Path("dclf-runs/it").absolute()), "others run in other folders"
    for name in ("loss/ce", "val/wf1", "val/f1/anger"):
        history = store.client.get_metric_history(tracker.run_id, name)
        assert sorted(point.step for point in history) == list(range(1, 11))
        ordered = sorted(history, key=lambda point: point.step)
        assert all(a.timestamp <= b.timestamp for a, b in pairwise(ordered))
    assert len(store.client.get_metric_history(tracker.run_id, "test/wf1")) == 1
    assert {file.path for file in store.client.list_artifacts(tracker.run_id, "figures")} >= {
        "figures/confusion_test.png",
        "figures/learning_curves.png",
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.mlflow
@pytest.mark.slow
def test_a_server_that_stays_away_gets_the_rest_later(
    server: Server, tmp_path: Path, trained_model: Path, log_messages: list[str]
) -> None:
    store = connect(server.uri, "later")
    with RunTracker(store, tmp_path, flush_s=1.0) as tracker:
        tracker.start(CONFIG, CARD)
        tracker.epoch(epoch(1))
        server.kill()
        tracker.epoch(epoch(2))
        tracker.epoch(epoch(3))
        tracker.finish(final(), trained_model)
    file = tmp_path / f"unsent-{tracker.run_id}" / "writes.jsonl"
    assert log_messages[-1].endswith(f"dclf track send {file}")
    with pytest.raises(TrackingError, match="Connection refused"):
        send_spool(file)
    server.start()
    result = send_spool(file)
    assert (result.run_id, result.refusals) == (tracker.run_id, [])
    run = store.client.get_run(tracker.run_id)
    assert (run.info.status, run.data.tags["dclf.status"]) == ("FINISHED", "finished")
    history = store.client.get_metric_history(tracker.run_id, "loss/ce")
    assert sorted(point.step for point in history) == [1, 2, 3]
    assert len(run.outputs.model_outputs) == 1
    assert list(tmp_path.iterdir()) == []
