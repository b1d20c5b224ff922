"""A study that has no room is refused by the key that says where it lies, before Ray starts."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster.storage import StorageError
from dclf.config import Config, DataConfig
from dclf.data import feature_card, generate, write_shards
from tune.config.sweep_settings import SweepSettings
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.sweeps import resume, sweep


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """On a disk that is as good as full."""
    info, dialogues = generate("iemocap-small", 12, 0)
    write_shards(dialogues, tmp_path / "shards", info)
    monkeypatch.setattr("cluster.storage.shutil.disk_usage", lambda _path: SimpleNamespace(free=5))
    return Config(data=DataConfig(shards=str(tmp_path / "shards")))


def test_a_new_study_without_room_names_its_own_storage(config: Config, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^sweep\.storage: .*256 MiB must be free, 0 MiB are"):
        sweep(config, SweepSettings(storage=str(tmp_path / "studies")), name="new")
    assert not (tmp_path / "studies" / "new").exists()


def test_a_resumed_study_without_room_names_its_own_storage(config: Config, tmp_path: Path) -> None:
    definition = StudyDefinition(
        name="old",
        config=config.to_dict(),
        settings=SweepSettings().to_dict(),
        shards_sha256=feature_card(config.data.shards).sha256,
    )
    StudyFolder.create(tmp_path / "studies", definition)
    with pytest.raises(StorageError, match=r"^sweep\.storage: .*256 MiB must be free, 0 MiB are"):
        resume("old", storage=str(tmp_path / "studies"))
