"""Whole runs: shards in, Ray Train workers, an MLflow run out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import pytest
import ray
import yaml

from cluster.machine import machine_gpus
from cluster.plan import PlanError
from cluster.storage import StorageError
from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrackConfig, TrainConfig
from dclf.data import generate, read_shards, write_shards
from dclf.data.errors import DataError
from dclf.objective import NonFiniteLossError
from dclf.training import loop
from dclf.training.local import LocalSource
from tests.tune.progress.reports import epoch_report
from tests.tune.tracking.server import wait_until
from tune.config.settings import ConfigError
from tune.progress.log_messages import messages_to
from tune.runs import TrainedRun, evaluate, train
from tune.study.dataset import TEST_IS_WATCHED
from tune.study.events import EpochEnded, Event, RunFinished, RunStarted, StageEnded, WorkersRestarted
from tune.tracking.run import RunTracker
from tune.tracking.store import TrackingError, connect

pytestmark = [
    pytest.mark.ray,
    pytest.mark.mlflow,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    info, dialogues = generate("iemocap-small", seed=3)
    write_shards(dialogues, root / "shards", info)
    return root


@pytest.fixture(scope="module")
def config(folder: Path) -> Config:
    return Config(
        data=DataConfig(shards=str(folder / "shards")),
        model=ModelConfig(options={"hidden": 12, "node_width": 16, "layers": 2}),
        loss=LossConfig(window=4, ica_width=8),
        train=TrainConfig(epochs=3, batch_size=8, lr=3e-3, device="cpu", storage=str(folder / "checkpoints")),
        track=TrackConfig(uri=f"sqlite:///{folder}/mlflow.db", experiment="tests"),
    )


@dataclass(frozen=True)
class GoneOn:
    """A run that Ctrl-C stopped, and that went on.

    Attributes:
        run: as it ended.
        run_id: of its first life.
        stopped_as: its status between the two.
        messages: what was logged in both lives.
        stages: of the first start.
        scored_as: its status when its scores were told.
    """

    run: TrainedRun
    run_id: str
    stopped_as: str
    messages: list[str]
    stages: list[str]
    scored_as: str


@pytest.fixture(scope="module")
def gone_on(config: Config, local_ray: None) -> GoneOn:
    """Under the paper's protocol, and interrupted after its second epoch of three."""
    paper = replace(config, train=replace(config.train, protocol="paper"), track=replace(config.track, name="paper"))
    run_ids: list[str] = []
    messages: list[str] = []
    stages: list[str] = []
    statuses: list[str] = []

    def watch(event: Event) -> None:
        if isinstance(event, RunFinished):
            statuses.append(recorded(config, run_ids[0]).info.status)

    def interrupt(event: Event) -> None:
        match event:
            case RunStarted():
                run_ids.append(event.run_id)
            case StageEnded(name, seconds):
                assert seconds >= 0
                stages.append(name)
            case EpochEnded(report) if report.epoch == 2:
                with pytest.raises(TrackingError, match=f"is being worked on by process {os.getpid()} on .*; wait"):
                    train(paper, resume=run_ids[0], listeners=[pytest.fail])
                raise KeyboardInterrupt

    with messages_to(messages.append):
        with pytest.raises(KeyboardInterrupt):
            train(paper, listeners=[interrupt])
        (run_id,) = run_ids
        status = recorded(config, run_id).info.status
        run = train(paper, resume=run_id, listeners=[watch])
        return GoneOn(run, run_id, status, messages, stages, *statuses)


@pytest.fixture(scope="module")
def trained(gone_on: GoneOn) -> TrainedRun:
    return gone_on.run


def recorded(config: Config, run_id: str) -> mlflow.entities.Run:
    return mlflow.MlflowClient(config.track.uri).get_run(run_id)


def test_a_run_is_recorded_whole(trained: TrainedRun, config: Config) -> None:
    run = recorded(config, trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["loss.window"] == "4"
    assert run.data.metrics["test/wf1"] == pytest.approx(trained.final.splits["test"].scores["wf1"])
    last = trained.final.history[-1]
    assert run.data.metrics["best/val_wf1"] == last.best_wf1 == pytest.approx(trained.final.splits["val"].scores["wf1"])
    assert run.data.metrics["best/epoch"] == last.best_epoch
    client = mlflow.MlflowClient(config.track.uri)
    history = client.get_metric_history(trained.run_id, "loss/ca")
    assert [point.step for point in history] == [1, 2, 3]
    assert [p.value for p in history] == pytest.approx([r.losses["ca"] for r in trained.final.history])
    assert {file.path for file in client.list_artifacts(trained.run_id, "figures")} >= {
        "figures/confusion_test.png",
        "figures/learning_curves.png",
    }
    assert run.inputs.dataset_inputs
    assert run.outputs.model_outputs


def test_the_logged_model_predicts_in_mlflow(trained: TrainedRun, config: Config) -> None:
    run = recorded(config, trained.run_id)
    mlflow.set_tracking_uri(config.track.uri)
    model = mlflow.pyfunc.load_model(f"models:/{run.outputs.model_outputs[0].model_id}")
    rows = model.predict(model.input_example)
    assert "emotion" in rows.columns
    assert len(rows) == len(model.input_example)


def test_evaluating_gives_the_runs_own_scores(trained: TrainedRun, config: Config) -> None:
    for split in ("val", "test"):
        report = evaluate(trained.run_id, split=split, uri=config.track.uri)
        assert report.scores == pytest.approx(trained.final.splits[split].scores)
        assert report.confusion == trained.final.splits[split].confusion
        title, _, row = repr(report).splitlines()
        assert title == f"{split} split, {report.utterances} utterances"
        assert row.split()[1] == f"{100 * report.scores['wf1']:.2f}"
    assert evaluate(trained.name, uri=config.track.uri).utterances == len(
        read_shards(config.data.shards).index("test").labels
    )


def test_a_finished_run_is_not_resumed(trained: TrainedRun, config: Config) -> None:
    with pytest.raises(TrackingError, match="is finished"):
        train(config, resume=trained.run_id)


def test_an_interrupted_run_ends_as_killed_and_goes_on_in_the_same_run(gone_on: GoneOn, config: Config) -> None:
    assert gone_on.stopped_as == "KILLED"
    assert gone_on.run.run_id == gone_on.run_id
    assert gone_on.scored_as == "RUNNING", "scores are told before figures and the model are recorded"
    assert recorded(config, gone_on.run_id).info.status == "FINISHED"
    shards = read_shards(config.data.shards)
    undisturbed = loop.train(config, LocalSource(shards, config.data.modalities), shards)
    assert gone_on.run.final.splits == undisturbed.splits, "neither the interruption nor looking at test changes it"
    steps = mlflow.MlflowClient(config.track.uri).get_metric_history(gone_on.run_id, "val/wf1")
    assert [point.step for point in steps] == [1, 2, 3]


def test_ctrl_c_behind_the_scores_leaves_a_finished_run(config: Config, local_ray: None) -> None:
    run_ids: list[str] = []

    def interrupt(event: Event) -> None:
        match event:
            case RunStarted():
                run_ids.append(event.run_id)
            case RunFinished():
                raise KeyboardInterrupt

    short = replace(config, train=replace(config.train, epochs=1), track=replace(config.track, name="short"))
    with pytest.raises(KeyboardInterrupt):
        train(short, listeners=[interrupt])
    run = recorded(config, run_ids[0])
    assert (run.info.status, "test/wf1" in run.data.metrics) == ("FINISHED", True)


def test_a_run_goes_on_with_its_own_shards_alone(config: Config, local_ray: None, tmp_path: Path) -> None:
    info, dialogues = generate("iemocap-small", 20, seed=3)
    write_shards(dialogues, tmp_path / "shards", info)
    changing = replace(
        config, data=DataConfig(shards=str(tmp_path / "shards")), track=replace(config.track, name="changing")
    )
    run_ids: list[str] = []

    def interrupt(event: Event) -> None:
        match event:
            case RunStarted():
                run_ids.append(event.run_id)
            case EpochEnded(report) if report.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(changing, listeners=[interrupt])
    write_shards(generate("iemocap-small", 20, seed=4)[1], tmp_path / "shards", info, overwrite=True)
    events: list[Event] = []
    with pytest.raises(DataError, match="must hold the shards that the run began with"):
        train(changing, resume=run_ids[0], listeners=[events.append])
    assert events == [], "nothing has started"


def test_a_run_whose_checkpoints_are_gone_does_not_begin_again(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = replace(config, train=replace(config.train, storage="elsewhere"))
    with RunTracker(connect(config.track.uri, "tests")) as tracker:
        tracker.start(elsewhere, None)
        tracker.epoch(epoch_report(2, 0.5, (2, 0.5)))
        tracker.checkpoint(f"elsewhere/{tracker.run_id}")
        tracker.kill("Ctrl-C")
    place = tmp_path / "elsewhere" / tracker.run_id
    with pytest.raises(StorageError, match=rf"has trained 2 epochs, and must have a checkpoint at {place}, has none;"):
        train(config, resume=tracker.run_id)
    assert recorded(config, tracker.run_id).info.status == "KILLED", "nothing has started"


def test_every_stage_of_the_start_is_told_once(gone_on: GoneOn) -> None:
    assert sorted(gone_on.stages[:-1]) == ["MLflow", "Ray", "shards"]
    assert gone_on.stages[-1] == "first batch"


def test_a_run_under_the_papers_protocol_warns_and_has_the_gap_beside_the_sealed_scores(
    gone_on: GoneOn, config: Config
) -> None:
    assert gone_on.messages == [TEST_IS_WATCHED] * 2
    final = gone_on.run.final
    optimism = final.optimism
    assert optimism is not None
    run = recorded(config, gone_on.run_id)
    assert run.data.params["train.protocol"] == "paper"
    assert run.data.metrics["paper/optimism_gap"] == pytest.approx(optimism.gap)
    assert run.data.metrics["paper/test_wf1"] == pytest.approx(optimism.scores["wf1"])
    points = mlflow.MlflowClient(config.track.uri).get_metric_history(gone_on.run_id, "peeked_test/wf1")
    assert [point.value for point in points] == pytest.approx([epoch.peeked["wf1"] for epoch in final.history])


def test_a_failed_run_ends_as_failed_and_had_a_warning_of_empty_classes(
    config: Config, local_ray: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    info, dialogues = generate("iemocap-small", 20, seed=3)
    write_shards((replace(one, labels=one.labels % 4) for one in dialogues), tmp_path / "four", info)
    broken = replace(
        config,
        data=DataConfig(shards=str(tmp_path / "four")),
        train=replace(config.train, lr=1e30),
        track=replace(config.track, name="broken"),
    )
    events: list[Event] = []
    with pytest.raises(NonFiniteLossError, match=r"^loss term .*ce.* must be finite, is not, .*epoch 1"):
        train(broken, listeners=[events.append])
    assert not [event for event in events if isinstance(event, WorkersRestarted)], (
        "an error of the run is not tried again"
    )
    (warning,) = [message for message in caplog.messages if message.startswith("warning")]
    assert TEST_IS_WATCHED not in caplog.messages
    assert warning.startswith("warning: no utterance is excited, frustrated: 2 of the 6 classes are empty")
    [run] = mlflow.MlflowClient(config.track.uri).search_runs(
        [mlflow.MlflowClient(config.track.uri).get_experiment_by_name("tests").experiment_id],
        "attributes.run_name = 'broken'",
    )
    assert run.info.status == "FAILED"


def test_a_driver_killed_outright_leaves_no_running_run(config: Config, local_ray: None, tmp_path: Path) -> None:
    slow = replace(config, train=replace(config.train, epochs=5000), track=replace(config.track, experiment="killed"))
    file = tmp_path / "slow.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in plain(slow.to_dict()).items() if k != "published"}))
    command = [str(Path(sys.executable).with_name("dclf")), "train", str(file), "--log", "jsonl"]
    driver = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        lines = driver.stdout if driver.stdout is not None else iter(())
        # Its run is RUNNING from here on; what the workers do is of no account to who looks after the run.
        assert any('"started"' in line for line in lines), driver.communicate()[1]
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.communicate()
    client = mlflow.MlflowClient(config.track.uri)
    [run] = client.search_runs([client.get_experiment_by_name("killed").experiment_id])
    wait_until(lambda: client.get_run(run.info.run_id).info.status != "RUNNING", 60)
    assert client.get_run(run.info.run_id).info.status == "KILLED"


def plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return list(map(plain, value)) if isinstance(value, list | tuple) else value


@pytest.mark.skipif(machine_gpus() > 0, reason="the machine has a GPU")
def test_a_gpu_where_none_is_is_refused(config: Config, local_ray: None) -> None:
    with pytest.raises(PlanError, match=r"^train\.device: gpu needs a GPU for each worker, the cluster has none"):
        train(replace(config, train=replace(config.train, device="gpu")))


def test_mistakes_are_found_before_anything_starts(config: Config, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"loss\.temperature"):
        train(replace(config, loss=replace(config.loss, temperature=-1.0)))
    info, dialogues = generate("iemocap-small", seed=3)
    classes = ("bored", *info.class_names[1:])
    narrow = replace(info, widths={"text": info.widths["text"]}, class_names=classes)
    write_shards((replace(d, features={"text": d.features["text"]}) for d in dialogues), tmp_path / "narrow", narrow)
    with pytest.raises(DataError, match=r"audio must be in the shards"):
        train(replace(config, data=replace(config.data, shards=str(tmp_path / "narrow"))))
    data = replace(config.data, shards=str(tmp_path / "narrow"), modalities=("text",))
    with pytest.raises(DataError, match=r"model\.name graphsmile: classes must be emotions .*, are also bored; "):
        train(replace(config, data=data, model=ModelConfig(name="graphsmile")))
    with pytest.raises(TrackingError, match=r"127\.0\.0\.1:9"):
        train(replace(config, track=replace(config.track, uri="http://127.0.0.1:9")))
