"""The paper's protocol through Ray and MLflow: in a run, and in a comparison of variants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.session import ray_session
from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrackConfig, TrainConfig
from dclf.data import generate, write_shards
from dclf.training.reports import EpochReport
from tune.analysis.optimism import optimism_table
from tune.comparisons import ablation, grid
from tune.config.sweep_settings import SweepSettings
from tune.runs import train
from tune.studies import Study
from tune.study.dataset import TEST_IS_WATCHED
from tune.study.history import read_history
from tune.sweeps import sweep
from tune.tracking.store import open_client

pytestmark = [pytest.mark.ray, pytest.mark.mlflow, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("paper")
    info, dialogues = generate("iemocap-small", seed=3)
    write_shards(dialogues, folder / "shards", info)
    return Config(
        data=DataConfig(shards=str(folder / "shards")),
        model=ModelConfig(options={"hidden": 12, "node_width": 16, "layers": 2}),
        loss=LossConfig(window=4, ica_width=8),
        train=TrainConfig(epochs=3, batch_size=8, lr=3e-3, device="cpu", storage=str(folder / "checkpoints")),
        track=TrackConfig(uri=f"sqlite:///{folder}/mlflow.db", experiment="paper"),
    )


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    with ray_session(num_cpus=3):
        yield


def under(config: Config, protocol: str) -> Config:
    return replace(config, train=replace(config.train, protocol=protocol))  # type: ignore[arg-type]


def blind(history: list[EpochReport]) -> list[EpochReport]:
    return [replace(report, peeked={}, seconds=0.0, ended=0.0) for report in history]


def test_a_run_warns_and_has_the_gap_beside_the_sealed_scores(
    config: Config, local_ray: None, caplog: pytest.LogCaptureFixture
) -> None:
    paper = train(under(config, "paper"))
    assert [record.getMessage() for record in caplog.records if record.name == "tune.runs"] == [TEST_IS_WATCHED]
    found = paper.final.optimism
    assert found is not None
    client = open_client(paper.tracking_uri)
    run = client.get_run(paper.run_id)
    assert run.data.params["train.protocol"] == "paper"
    assert run.data.metrics["paper/optimism_gap"] == pytest.approx(found.gap)
    assert run.data.metrics["paper/test_wf1"] == pytest.approx(found.scores["wf1"])
    points = client.get_metric_history(paper.run_id, "peeked_test/wf1")
    assert [point.value for point in points] == pytest.approx([r.peeked["wf1"] for r in paper.final.history])


def compare(config: Config, storage: Path, protocol: str) -> Study:
    asked = ablation(parts=["base"], seeds=2, settings=SweepSettings(storage=str(storage), concurrency=1))
    return sweep(under(config, protocol), asked, name=protocol, kind="ablation")


def test_a_comparison_has_a_gap_per_variant_and_the_sealed_one_s_scores(
    config: Config, local_ray: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paper = compare(config, tmp_path, "paper")
    assert TEST_IS_WATCHED in caplog.messages
    caplog.clear()
    sealed = compare(config, tmp_path, "sealed")
    assert TEST_IS_WATCHED not in caplog.messages
    assert dict(paper.folder.ledger.tested) == dict(sealed.folder.ledger.tested)
    table = optimism_table(paper.folder)
    assert table is not None
    assert [row[:3] for row in table.rows] == [("mmgcn", "DCLF", "2"), ("mmgcn", "base model", "2")]
    for number, seed in paper.folder.ledger.tested:
        epochs = read_history(paper.folder.checkpoint(number, seed))
        sealed_wf1 = paper.folder.ledger.tested[number, seed]["wf1"]
        assert epochs[epochs[-1].best_epoch - 1].peeked["wf1"] == pytest.approx(sealed_wf1, abs=1e-12)
        assert blind(epochs) == blind(read_history(sealed.folder.checkpoint(number, seed)))
    assert optimism_table(sealed.folder) is None


def test_trials_with_workers_of_their_own_look_too(config: Config, local_ray: None, tmp_path: Path) -> None:
    settings = SweepSettings(storage=str(tmp_path), workers_per_trial=1)
    asked = grid({"loss.window": {"choices": [4]}}, seeds=1, settings=settings)
    study = sweep(under(config, "paper"), asked, name="workers", kind="grid")
    table = optimism_table(study.folder)
    assert table is not None
    assert len(table.rows) == 1
