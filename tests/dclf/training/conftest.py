import pytest

from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrainConfig
from dclf.data import read_shards, write_shards
from dclf.data.generator import generate
from dclf.data.reader import ShardSet


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    folder = tmp_path_factory.mktemp("shards") / "small"
    info, dialogues = generate("iemocap-small", seed=3)
    write_shards(dialogues, folder, info)
    return read_shards(folder)


@pytest.fixture
def config(shards: ShardSet) -> Config:
    return Config(
        data=DataConfig(shards=str(shards.path)),
        model=ModelConfig(name="mmgcn", options={"hidden": 12, "node_width": 16, "layers": 2}),
        loss=LossConfig(window=4, ica_width=8),
        train=TrainConfig(epochs=3, batch_size=8, lr=3e-3, seed=1, device="cpu"),
    )
