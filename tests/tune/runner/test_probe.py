import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrainConfig
from dclf.data import DataError, generate, read_shards, write_shards
from dclf.training.local import LocalSource
from tests.dclf.training.test_curriculum import TRAINED, watch
from tune.runner.probe import FirstDialogues, Probe, probe

DIALOGUES = 30


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    info, dialogues = generate("iemocap-small", DIALOGUES, 0)
    write_shards(dialogues, str(folder), info)
    return folder


def config(shards: Path, ablate: str = "none", batch_size: int = 4) -> Config:
    return Config(
        data=DataConfig(shards=str(shards)),
        model=ModelConfig(name="ddin"),
        loss=LossConfig(ablate=ablate),  # type: ignore[arg-type]
        train=TrainConfig(batch_size=batch_size, epochs=50),
    )


@pytest.fixture(scope="module")
def whole(shards: Path) -> Probe:
    return probe(config(shards), seconds=1000)


def test_a_small_data_set_is_measured_whole(whole: Probe) -> None:
    assert whole.share == 1
    assert 0 < whole.seconds_per_epoch < 60
    assert whole.memory_bytes > 50e6
    # Loss terms; WA, WF1, accuracy and F1 of six classes; number, seconds, best epoch and WF1; use of the machine.
    assert whole.metrics_per_epoch == 5 + 14 + 4 + 4


@pytest.mark.parametrize("seconds", [1e-3, 1000])
def test_looking_at_test_is_measured_too(shards: Path, seconds: float) -> None:
    sealed = config(shards)
    measurement = probe(replace(sealed, train=replace(sealed.train, protocol="paper")), seconds=seconds)
    assert 0 < measurement.share <= 1
    assert measurement.metrics_per_epoch == 5 + 14 + 14 + 4 + 4


@pytest.mark.parametrize("ablate", ["none", "base"])
def test_of_a_large_one_some_dialogues_tell(shards: Path, ablate: str) -> None:
    part = probe(config(shards, ablate), seconds=1e-3)
    assert 0.2 < part.share < 0.8
    assert math.isfinite(part.seconds_per_epoch)


def test_the_epochs_measured_are_whole_ones_whatever_the_curriculum(shards: Path) -> None:
    run = replace(
        config(shards, batch_size=DIALOGUES), loss=LossConfig(ablate="base", terms={f"{watch.__module__}:watch": 0.0})
    )
    TRAINED.clear()
    probe(replace(run, train=replace(run.train, curriculum=8)), seconds=1000)
    assert Counter(TRAINED) == dict.fromkeys(read_shards(shards).index("train").dialogue_ids, 2)


def test_the_checkpoint_is_as_large_as_a_whole_training_s(shards: Path, whole: Probe) -> None:
    part = probe(config(shards), seconds=1e-3)
    assert part.share < whole.share
    assert part.checkpoint_bytes == pytest.approx(whole.checkpoint_bytes, rel=0.02)


def test_threads_and_random_numbers_are_left_as_they_were(shards: Path) -> None:
    torch.manual_seed(5)
    expected, threads = torch.get_rng_state(), torch.get_num_threads()
    probe(config(shards), seconds=1e-3)
    assert torch.equal(torch.get_rng_state(), expected)
    assert torch.get_num_threads() == threads


def test_first_dialogues_are_the_first(shards: Path) -> None:
    whole = LocalSource(read_shards(str(shards)), ("text",))
    first = [one.dialogue_id for one in FirstDialogues(whole, {"train": 3}).dialogues("train")]
    assert first == [one.dialogue_id for one in whole.dialogues("train")][:3]


def test_shards_that_lack_a_modality_are_refused(tmp_path: Path) -> None:
    info, dialogues = generate("iemocap-small", 12, 0)
    write_shards(dialogues, str(tmp_path), info)
    wrong = Config(data=DataConfig(shards=str(tmp_path), modalities=("text", "smell")))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="smell"):
        probe(wrong)
