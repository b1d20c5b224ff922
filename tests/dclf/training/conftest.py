from pathlib import Path

import pytest

from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrainConfig
from dclf.data import read_shards, write_shards
from dclf.data.generator import generate
from dclf.data.reader import ShardSet


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """A few dialogues, where it is of no account what a model learns from them."""
    return shard_set(tmp_path_factory.mktemp("shards") / "few", 24)


@pytest.fixture(scope="session")
def enough(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """As many as a model needs to learn something."""
    return shard_set(tmp_path_factory.mktemp("shards") / "enough", None)


def shard_set(folder: Path, count: int | None) -> ShardSet:
    info, dialogues = generate("iemocap-small", count, seed=3)
    write_shards(dialogues, folder, info)
    return read_shards(folder)


@pytest.fixture(scope="session")
def config(shards: ShardSet) -> Config:
    return Config(
        data=DataConfig(shards=str(shards.path)),
        model=ModelConfig(name="mmgcn", options={"hidden": 12, "node_width": 16, "layers": 2}),
        loss=LossConfig(window=4, ica_width=8),
        train=TrainConfig(epochs=3, batch_size=8, lr=3e-3, seed=1, device="cpu"),
    )
