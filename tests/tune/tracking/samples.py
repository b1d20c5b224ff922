"""A small run: configuration, feature card, reports, dialogues and a trained model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrackConfig
from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.inference import save_model
from dclf.models.framework import DCLF
from dclf.training.reports import EpochReport, FinalReport, SplitReport
from tune.tracking.run import RunTracker
from tune.tracking.store import Store

CLASSES = ["neutral", "joy!", "anger"]
WIDTHS = {"text": 5, "audio": 3}
INFO = DatasetInfo(dataset="tiny", class_names=tuple(CLASSES), widths=WIDTHS, speaker_count=2)
CARD = {
    "dataset": "tiny",
    "class_names": CLASSES,
    "widths": WIDTHS,
    "speaker_count": 2,
    "splits": {"train": {"dialogues": 3}},
    "provenance": {"importer": "generator", "source": "http://me:geheim@host/tiny"},
    "sha256": "ab" * 32,
}
CONFIG = Config(
    data=DataConfig(shards="shards/tiny", modalities=("text", "audio")),
    model=ModelConfig(name="mmgcn", options={"hidden": 8, "node_width": 12}),
    loss=LossConfig(ica_width=4),
    track=TrackConfig(uri="http://me:geheim@host:5000", tags={"purpose": "test"}),
)


def scores(value: float) -> dict[str, float]:
    per_class = {f"{kind}/{name}": value for kind in ("accuracy", "f1") for name in CLASSES}
    return {"wa": value, "wf1": value, **per_class}


def epoch(number: int, epochs: int = 3) -> EpochReport:
    return EpochReport(
        epoch=number,
        epochs=epochs,
        losses={"total": 2.0 / number, "ce": 1.0 / number},
        validation=scores(0.1 * number),
        best_epoch=number,
        best_wf1=0.1 * number,
        seconds=0.5,
        ended=1_700_000_000.0 + number,
        machine={"cpu_utilization_percentage": 25.0 * number},
    )


def final(epochs: int = 3) -> FinalReport:
    confusion = [[5, 1, 0], [1, 4, 1], [0, 2, 3]]
    return FinalReport(
        class_names=CLASSES,
        history=[epoch(number, epochs) for number in range(1, epochs + 1)],
        splits={
            name: SplitReport(split=name, scores=scores(value), confusion=confusion, utterances=17)
            for name, value in (("val", 0.3), ("test", 0.25))
        },
    )


def dialogues() -> list[Dialogue]:
    draw = np.random.default_rng(0)
    return [
        Dialogue(
            dialogue_id=f"d{i}",
            split="test",
            speakers=(np.arange(n) % 2).astype(np.int32),
            labels=np.zeros(n, np.int32),
            features={m: draw.standard_normal((n, width)).astype(np.float32) for m, width in WIDTHS.items()},
        )
        for i, n in enumerate((3, 1, 4))
    ]


def trained_state() -> dict[str, Any]:
    """Of a checkpoint, as far as its best model asks for it."""
    torch.manual_seed(0)
    model = DCLF(INFO, CONFIG.data.modalities, CONFIG.model, CONFIG.loss)
    return {"config": CONFIG.to_dict(), "info": INFO.to_dict(), "progress": {"best_model": model.state_dict()}}


def save_trained(folder: Path) -> Path:
    save_model(folder, trained_state())
    return folder


def cut_short(store: Store, folder: Path, blow: Callable[[], None], epochs: int = 1) -> str:
    """The id of a run that something ended in mid-training; the blow must raise."""
    tracker = RunTracker(store, folder)

    def work() -> None:
        with tracker:
            tracker.start(CONFIG, CARD)
            for number in range(1, epochs + 1):
                tracker.epoch(epoch(number))
            blow()

    with pytest.raises((RuntimeError, ValueError, KeyboardInterrupt, SystemExit)):
        work()
    return tracker.run_id


def fall() -> None:
    raise RuntimeError("fell over")
