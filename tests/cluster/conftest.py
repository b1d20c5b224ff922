from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.resources import ClusterResources
from cluster.session import ray_session
from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrainConfig
from dclf.data import read_shards, write_shards
from dclf.data.generator import generate
from dclf.data.reader import ShardSet
from tests.cluster.local.postgres import Postgres, require_programs


@pytest.fixture(scope="package")
def local_ray() -> Iterator[ClusterResources]:
    """One Ray for all tests of this folder, and no other's: four slots, so that two workers and a read fit."""
    with ray_session(num_cpus=4) as resources:
        yield resources


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Small dialogues in several shards."""
    folder = tmp_path_factory.mktemp("shards") / "small"
    info, dialogues = generate("iemocap-small", seed=3)
    write_shards(dialogues, folder, info, max_shard_bytes=40_000)
    return read_shards(folder)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres(require_programs())
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def config(shards: ShardSet, tmp_path: Path) -> Config:
    return small_config(shards, tmp_path / "store")


def small_config(shards: ShardSet, storage: Path) -> Config:
    """Three epochs of a narrow MMGCN."""
    return Config(
        data=DataConfig(shards=str(shards.path)),
        model=ModelConfig(name="mmgcn", options={"hidden": 12, "node_width": 16, "layers": 2}),
        loss=LossConfig(window=4, ica_width=8),
        train=TrainConfig(epochs=3, batch_size=8, lr=3e-3, seed=1, device="cpu", storage=str(storage)),
    )


@pytest.fixture
def changed() -> Callable[..., Config]:
    """A configuration with other values in its train section."""

    def change(config: Config, **values: Any) -> Config:
        return replace(config, train=replace(config.train, **values))

    return change
