import json
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from cluster.signals import Terminated
from dclf.config import Config
from dclf.training.reports import EpochReport
from tests.tune.tracking.samples import CARD, CLASSES, CONFIG, cut_short, epoch, fall, final
from tune.tracking.records import metric_names
from tune.tracking.run import RunTracker
from tune.tracking.spool import send_spool
from tune.tracking.store import Store, TrackingError, connect

# But for the run that is made once for several tests, and looked at whole.
pytestmark = pytest.mark.usefixtures("without_figures")


@pytest.fixture(scope="module")
def home(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of its own for one finished run."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copy(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture(scope="module")
def keeper(home: Path) -> Store:
    return connect(f"sqlite:///{home}/mlflow.db", "dclf")


@pytest.fixture(scope="module")
def finished(keeper: Store, home: Path, trained_model: Path) -> Any:
    with RunTracker(keeper, home / "unsent") as tracker:
        tracker.start(CONFIG, CARD)
        for number in (1, 2, 3):
            tracker.epoch(epoch(number))
            tracker.checkpoint(f"/checkpoints/{number}")
        tracker.finish(final(), trained_model)
    return keeper.client.get_run(tracker.run_id)


def looked(report: EpochReport) -> EpochReport:
    """An epoch under the paper's protocol: best on test in the second."""
    wf1 = {1: 0.2, 2: 0.375, 3: 0.25}[report.epoch]
    robust = {} if report.epoch == 3 else {"eics/wf1": 0.25 + report.epoch / 8}
    return replace(report, peeked={"wf1": wf1, "wa": 0.5, "f1/joy!": 0.1}, robust=robust)


def test_what_was_seen_on_test_is_never_under_the_sealed_names(keeper: Store, home: Path, trained_model: Path) -> None:
    with RunTracker(keeper, home / "unsent") as tracker:
        tracker.start(CONFIG, CARD)
        for number in (1, 2, 3):
            tracker.epoch(looked(epoch(number)))
        tracker.finish(replace(final(), history=[looked(report) for report in final().history]), trained_model)
    run = keeper.client.get_run(tracker.run_id)
    history = keeper.client.get_metric_history(tracker.run_id, "peeked_test/wf1")
    assert [(point.step, point.value) for point in history] == [(1, 0.2), (2, 0.375), (3, 0.25)]
    metrics = run.data.metrics
    assert metrics["peeked_test/f1/joy_"] == 0.1
    robust = keeper.client.get_metric_history(tracker.run_id, "best/val_eics/wf1")
    assert [(point.step, point.value) for point in robust] == [(1, 0.375), (2, 0.5)]
    assert len(keeper.client.get_metric_history(tracker.run_id, "test/wf1")) == 1
    assert metrics["test/wf1"] == 0.25
    assert {key: value for key, value in metrics.items() if key.startswith("paper/")} == {
        "paper/test_wf1": 0.375,
        "paper/test_wa": 0.5,
        "paper/epoch": 2.0,
        "paper/optimism_gap": 12.5,
    }
    model = keeper.client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert not any(metric.key.startswith("paper/") for metric in model.metrics), "they are another epoch's"


def test_a_sealed_run_has_no_such_metrics(finished: Any) -> None:
    assert not any(key.startswith(("paper/", "peeked_test/")) for key in finished.data.metrics)


def artifact(store: Store, run: Any, path: str) -> Path:
    return Path(store.client.download_artifacts(run.info.run_id, path))


def test_a_finished_run_tells_all(keeper: Store, finished: Any, home: Path) -> None:
    assert finished.info.status == "FINISHED"
    assert finished.info.end_time >= finished.info.start_time
    assert finished.info.run_name == "tiny-mmgcn-dclf"
    params = finished.data.params
    assert params["model.name"] == "mmgcn"
    assert json.loads(params["data.modalities"]) == ["text", "audio"]
    assert params["model.options.hidden"] == "8"
    metrics = finished.data.metrics
    assert metrics["test/wf1"] == 0.25
    assert metrics["test/f1/joy_"] == metrics["test/accuracy/anger"] == 0.25
    assert metrics["best/epoch"] == 3
    assert metrics["best/val_wf1"] == pytest.approx(0.3)
    history = keeper.client.get_metric_history(finished.info.run_id, "loss/ce")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    used = keeper.client.get_metric_history(finished.info.run_id, "system/cpu_utilization_percentage")
    assert [(point.step, point.value) for point in used] == [(1, 25.0), (2, 50.0), (3, 75.0)]
    assert list((home / "unsent").iterdir()) == []


def test_tags_say_where_it_came_from(finished: Any) -> None:
    tags = finished.data.tags
    assert tags["dclf.checkpoint"] == "/checkpoints/3"
    assert tags["dclf.status"] == "finished"
    assert tags["seed"] == "0"
    assert tags["purpose"] == "test"
    names = ("version.torch", "version.ray", "version.mlflow", "version.dclf", "version.python", "host", "command")
    assert all(tags[name] for name in (*names, "hardware.cpu", "hardware.gpus", "mlflow.user"))
    assert int(tags["hardware.cores"]) >= 1
    assert float(tags["hardware.memory_gib"]) > 0


def test_the_configuration_comes_back(keeper: Store, finished: Any) -> None:
    loaded = yaml.safe_load(artifact(keeper, finished, "config.yaml").read_text())
    assert loaded["track"]["uri"] == "http://host:5000"
    assert Config.from_dict(loaded).flat() == CONFIG.flat()


def test_results_are_artifacts(keeper: Store, finished: Any) -> None:
    for split in ("val", "test"):
        results = json.loads(artifact(keeper, finished, f"results/confusion_{split}.json").read_text())
        assert results["classes"] == CLASSES
        assert results["confusion"] == final().splits[split].confusion
    for name in ("learning_curves", "confusion_val", "confusion_test"):
        with Image.open(artifact(keeper, finished, f"figures/{name}.png")) as picture:
            assert min(picture.size) > 200
    assert json.loads(artifact(keeper, finished, "feature_card.json").read_text())["sha256"] == CARD["sha256"]


def test_the_shards_are_a_dataset_input(finished: Any) -> None:
    (used,) = finished.inputs.dataset_inputs
    assert used.dataset.name == "tiny"
    assert CARD["sha256"].startswith(used.dataset.digest)
    assert json.loads(used.dataset.source) == {"uri": "shards/tiny"}
    features = json.loads(json.loads(used.dataset.schema)["mlflow_tensorspec"]["features"])
    assert [(f["name"], f["tensor-spec"]["shape"]) for f in features] == [("text", [-1, 5]), ("audio", [-1, 3])]
    assert json.loads(used.dataset.profile)["splits"] == CARD["splits"]
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]


def test_no_password_is_recorded(finished: Any, home: Path) -> None:
    files = [file for file in home.rglob("*") if file.is_file()]
    assert len(files) > 5
    assert not [file for file in files if b"geheim" in file.read_bytes()]


def test_long_parameters_are_cut(store: Store, tmp_path: Path) -> None:
    config = Config.from_dict({**CONFIG.to_dict(), "data": {"shards": "x" * 7000, "modalities": ["text"]}})
    with RunTracker(store, tmp_path) as tracker:
        tracker.start(config, None)
        tracker.finish(final())
    value = store.client.get_run(tracker.run_id).data.params["data.shards"]
    assert len(value) == 6000
    assert value.endswith("x…")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("loss is NaN"), "FAILED", "failed: ValueError: loss is NaN"),
        (KeyboardInterrupt(), "KILLED", "killed: KeyboardInterrupt"),
        (Terminated(), "KILLED", "killed: SIGTERM"),
    ],
)
def test_the_run_ends_before_the_error_goes_on(
    store: Store, tmp_path: Path, error: BaseException, status: str, reason: str
) -> None:
    def blow() -> None:
        raise error

    run = store.client.get_run(cut_short(store, tmp_path, blow))
    assert run.info.status == status
    assert run.data.tags["dclf.status"] == reason
    assert run.data.metrics["loss/ce"] == 1.0


def test_sigterm_ends_the_run(store: Store, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run_id = cut_short(store, tmp_path, lambda: signal.raise_signal(signal.SIGTERM))
    run = store.client.get_run(run_id)
    assert (run.info.status, run.data.tags["dclf.status"]) == ("KILLED", "killed: SIGTERM")
    assert signal.getsignal(signal.SIGTERM) is before


def test_leaving_without_a_final_report_is_a_failure(store: Store, tmp_path: Path) -> None:
    with RunTracker(store, tmp_path) as tracker:
        tracker.start(CONFIG, CARD)
    assert store.client.get_run(tracker.run_id).info.status == "FAILED"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated()])
def test_an_interrupt_behind_the_scores_costs_figures_and_model_alone(
    store: Store, tmp_path: Path, error: BaseException
) -> None:
    tracker = RunTracker(store, tmp_path)

    def work() -> None:
        with tracker:
            tracker.start(CONFIG, CARD)
            tracker.scored(final())
            raise error

    with pytest.raises(type(error)):
        work()
    run = store.client.get_run(tracker.run_id)
    assert (run.info.status, run.data.tags["dclf.status"]) == ("FINISHED", "finished; figures and model left out")
    assert run.data.metrics["test/wf1"] == 0.25
    results = {file.path for file in store.client.list_artifacts(tracker.run_id, "results")}
    assert results == {"results/confusion_test.json", "results/confusion_val.json"}


def test_an_interrupt_while_the_end_is_sent_leaves_the_rest_to_be_sent(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_messages: list[str]
) -> None:
    def interrupt(*_: object, **_options: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("tune.tracking.outbox.Outbox.flush", interrupt)
    away = threading.Event()
    monkeypatch.setattr("tune.tracking.run.Sender.__call__", lambda *_: away.wait() and None)
    tracker = RunTracker(store, tmp_path)

    def work() -> None:
        with tracker:
            tracker.start(CONFIG, CARD)
            tracker.finish(final())

    with pytest.raises(KeyboardInterrupt):
        work()
    away.set()
    monkeypatch.undo()
    (file,) = tmp_path.glob("unsent-*/writes.jsonl")
    assert log_messages == [
        f"not all of this run has reached MLflow; send the rest of this run with: dclf track send {file}"
    ]
    assert tracker._guardian._child.poll() is not None, "it would call the run KILLED"
    assert send_spool(file).refusals == []
    run = store.client.get_run(tracker.run_id)
    assert (run.info.status, run.data.metrics["test/wf1"]) == ("FINISHED", 0.25)


def middling(report: EpochReport) -> EpochReport:
    """An epoch of a training whose second was the best."""
    wf1 = {1: 0.2, 2: 0.5, 3: 0.3}
    best = min(report.epoch, 2)
    validation = {**report.validation, "wf1": wf1[report.epoch]}
    return replace(report, validation=validation, best_epoch=best, best_wf1=wf1[best])


def test_mlflow_shows_the_best_epoch_beside_the_last_one(store: Store, tmp_path: Path, trained_model: Path) -> None:
    reports = [middling(epoch(number)) for number in (1, 2, 3)]
    with RunTracker(store, tmp_path) as tracker:
        tracker.start(CONFIG, CARD)
        for report in reports:
            tracker.epoch(report)
        tracker.finish(replace(final(), history=reports), trained_model)
    run = store.client.get_run(tracker.run_id)
    names = ("best/val_wf1", "best/epoch", "val/wf1", "test/wf1", "test/wa")
    assert [run.data.metrics[name] for name in names] == [0.5, 2, 0.3, 0.25, 0.25]
    model = store.client.get_logged_model(run.outputs.model_outputs[0].model_id)
    scores = {metric.key: metric.value for metric in model.metrics}
    assert [scores[name] for name in ("best/val_wf1", "best/epoch", "test/wf1")] == [0.5, 2, 0.25]


def test_a_run_of_the_version_before_is_taken_up(store: Store, tmp_path: Path) -> None:
    run_id = cut_short(store, tmp_path, fall, epochs=0)
    for report in map(middling, (epoch(1), epoch(2))):
        for key, value in {"val/wf1": report.validation["wf1"], "epoch_seconds": report.seconds}.items():
            store.client.log_metric(run_id, key, value, step=report.epoch)
    with RunTracker(store, tmp_path) as second:
        second.start(CONFIG, CARD, resume_run_id=run_id)
        second.epoch(middling(epoch(3)))
        earlier = [replace(middling(epoch(number)), ended=0.0) for number in (1, 2)]
        second.finish(replace(final(), history=[*earlier, middling(epoch(3))]))
    metrics = store.client.get_run(run_id).data.metrics
    assert [metrics[name] for name in ("best/val_wf1", "best/epoch", "val/wf1")] == [0.5, 2, 0.3]
    assert sorted(point.step for point in store.client.get_metric_history(run_id, "val/wf1")) == [1, 2, 3]


def test_resuming_reopens_the_same_run(store: Store, tmp_path: Path) -> None:
    run_id = cut_short(store, tmp_path, fall, epochs=2)
    with RunTracker(store, tmp_path) as second:
        second.start(CONFIG, CARD, resume_run_id=run_id)
        assert second.run_id == run_id
        assert store.client.get_run(run_id).info.status == "RUNNING"
        for number in (2, 3):
            second.epoch(epoch(number))
        second.finish(final())
    run = store.client.get_run(run_id)
    assert (run.info.status, run.data.tags["dclf.status"]) == ("FINISHED", "finished")
    for name in ("loss/ce", "val/wf1", "epoch_seconds"):
        assert [point.step for point in store.client.get_metric_history(run_id, name)] == [1, 2, 3]
    assert len(run.inputs.dataset_inputs) == 1


def test_an_epoch_that_a_kill_kept_from_mlflow_is_sent_by_the_resumed_run(store: Store, tmp_path: Path) -> None:
    # The checkpoint of the second epoch was written, its record was not sent.
    run_id = cut_short(store, tmp_path, fall, epochs=1)
    with RunTracker(store, tmp_path) as second:
        second.start(CONFIG, CARD, resume_run_id=run_id)
        second.epoch(epoch(3))
        second.finish(final())
    for name in ("epoch", "loss/ce", "best/val_wf1"):
        assert sorted(point.step for point in store.client.get_metric_history(run_id, name)) == [1, 2, 3]


def test_an_epoch_whose_message_did_not_arrive_is_sent_at_the_end(store: Store, tmp_path: Path) -> None:
    with RunTracker(store, tmp_path) as tracker:
        tracker.start(CONFIG, CARD)
        tracker.epoch(epoch(1))
        tracker.epoch(epoch(3))
        tracker.finish(final())
    for name in ("epoch", "loss/ce", "best/val_wf1"):
        points = store.client.get_metric_history(tracker.run_id, name)
        assert sorted(point.step for point in points) == [1, 2, 3], "and the others are kept once"


def test_a_run_is_looked_after_before_it_is_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    class Watch:
        """Stands for the guardian."""

        def __init__(self, *_: object) -> None:
            order.append("guardian")

        def close(self) -> None:
            order.append("closed")

    def refuse(*_: object) -> None:
        order.append("run")
        raise TrackingError("MLflow does not take it")

    monkeypatch.setattr("tune.tracking.run.Guardian", Watch)
    monkeypatch.setattr("tune.tracking.run.create_run", refuse)
    with pytest.raises(TrackingError, match="does not take it"), RunTracker(store, tmp_path) as tracker:
        tracker.start(CONFIG, CARD)
    assert order == ["guardian", "run", "closed"], "a kill in between would leave it RUNNING"


def test_a_repeated_epoch_with_other_values_stands_beside_the_old(store: Store, tmp_path: Path) -> None:
    with RunTracker(store, tmp_path) as tracker:
        tracker.start(CONFIG, CARD)
        tracker.epoch(epoch(1))
        tracker.epoch(epoch(1))
        tracker.epoch(type(epoch(1))(**{**epoch(1).to_dict(), "losses": {"total": 7.0, "ce": 1.0}}))
        tracker.finish(final())
    totals = [one for one in store.client.get_metric_history(tracker.run_id, "loss/total") if one.step == 1]
    assert sorted(point.value for point in totals) == [2.0, 7.0]
    assert len([one for one in store.client.get_metric_history(tracker.run_id, "loss/ce") if one.step == 1]) == 1


def test_resuming_a_run_that_is_not_there(store: Store, tmp_path: Path) -> None:
    with (
        pytest.raises(TrackingError, match=r"run 0{32} cannot be resumed"),
        RunTracker(store, tmp_path) as tracker,
    ):
        tracker.start(CONFIG, CARD, resume_run_id="0" * 32)


def test_a_tag_that_mlflow_refuses_takes_none_of_ours_with_it(
    store: Store, tmp_path: Path, log_messages: list[str]
) -> None:
    """Such tags are refused before a run; should MLflow be stricter one day, this is what is left."""
    tags = {"purpose": "test", "a?b": "c", "seed": "mine"}
    with RunTracker(store, tmp_path / "unsent") as tracker:
        tracker.start(replace(CONFIG, track=replace(CONFIG.track, tags=tags)), CARD)
        tracker.finish(final())
    run = store.client.get_run(tracker.run_id)
    assert {"version.torch", "hardware.cores", "host", "command", "mlflow.user"} <= run.data.tags.keys()
    assert run.data.tags["seed"] == "0"
    assert run.data.params["loss.ica_width"] == "4"
    assert not {"purpose", "a?b"} & run.data.tags.keys()
    assert [note.partition(":")[0] for note in log_messages] == ["MLflow refused tags of this run"]


def test_a_command_line_that_is_no_text_is_recorded(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["dclf", "train", "caf\udce9.yaml"])
    with RunTracker(store, tmp_path / "unsent") as tracker:
        tracker.start(CONFIG, CARD)
        tracker.finish(final())
    tags = store.client.get_run(tracker.run_id).data.tags
    assert (tags["command"], tags["seed"]) == ("dclf train 'caf\\udce9.yaml'", "0")


def test_every_class_has_a_metric_of_its_own(store: Store) -> None:
    scores = {"f1/喜": 0.1, "f1/怒": 0.2, "f1/joy?": 0.4, "f1/joy!": 0.3, "f1/joy_": 0.5, "f1/zufällig": 0.6}
    metrics = metric_names(scores, "test")
    assert metrics == {
        "test/f1/喜": 0.1,
        "test/f1/怒": 0.2,
        "test/f1/joy_": 0.5,
        "test/f1/joy__2": 0.3,
        "test/f1/joy__3": 0.4,
        "test/f1/zufällig": 0.6,
    }
    assert metric_names(dict(reversed(scores.items())), "test") == metrics
    run_id = store.client.create_run(store.experiment_id).info.run_id
    for name, value in metrics.items():
        store.client.log_metric(run_id, name, value)
    assert store.client.get_run(run_id).data.metrics == metrics
