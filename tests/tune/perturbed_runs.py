"""Finished runs for the perturbation tests: trained in this process, recorded in an SQLite store, without Ray."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow

from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrackConfig, TrainConfig
from dclf.data import feature_card, generate, read_shards, write_shards
from dclf.inference import save_model
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun
from tune.tracking.run import RunTracker
from tune.tracking.store import connect

SMALL: dict[str, dict[str, Any]] = {
    "mmgcn": {"hidden": 8, "node_width": 12, "layers": 2},
    "ddin": {"encoder_width": 8, "history_width": 12, "party_width": 12, "emotion_width": 12},
}
MODALITIES = ("text", "audio")


class RunStore:
    """An SQLite store and a shard set in one folder, and the runs trained on them.

    The shards may say that they were extracted, of ``dclf.extraction`` facts.
    """

    def __init__(self, folder: Path, empty_store: Path, extraction: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.shards = str(folder / "shards")
        self.uri = f"sqlite:///{shutil.copy(empty_store, folder / 'mlflow.db')}"
        info, dialogues = generate("iemocap-small", dialogues=24, seed=3)
        extracted = {"extraction": extraction} if extraction else {}
        write_shards(dialogues, self.shards, replace(info, provenance={**info.provenance, **extracted}))

    def config(self, model: str, name: str, *, causal: bool = True) -> Config:
        return Config(
            data=DataConfig(shards=self.shards, modalities=MODALITIES),
            model=ModelConfig(name=model, options=SMALL[model], causal=causal),
            loss=LossConfig(ablate="base"),
            train=TrainConfig(epochs=4, batch_size=8, lr=1e-2, seed=1, device="cpu"),
            track=TrackConfig(uri=self.uri, experiment="tests", name=name),
        )

    def train(
        self, model: str, name: str, *, causal: bool = True, log_model: bool = True
    ) -> tuple[str, dict[str, Any]]:
        """The id of a finished run, and the last state of its training."""
        config = self.config(model, name, causal=causal)
        shards = read_shards(config.data.shards)
        run = TrainingRun(config, LocalSource(shards, config.data.modalities), shards)
        run.prepare()
        with RunTracker(connect(self.uri, config.track.experiment), self.folder / "unsent") as tracker:
            tracker.start(config, feature_card(config.data.shards).to_dict())
            tracker.checkpoint(str(self.folder / "checkpoints" / tracker.run_id))
            for _ in range(config.train.epochs):
                tracker.epoch(run.epoch())
            state = run.state()
            save_model(self.folder / name, state)
            tracker.finish(run.conclude(), self.folder / name if log_model else None)
        return tracker.run_id, state

    @property
    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.uri)
