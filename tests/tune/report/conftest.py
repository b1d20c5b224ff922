from pathlib import Path

import pytest

from dclf import data
from tests.tune.report import samples
from tune.study.folder import StudyFolder


@pytest.fixture(autouse=True)
def no_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports only read; the ledgers that they read need not reach the platter."""
    monkeypatch.setattr("tune.study.ledger.os.fsync", lambda _file: None)


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """A study with one objective and no trials."""
    return samples.new_folder(tmp_path)


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "shards"
    info, dialogues = data.generate("iemocap-small", 8, 1)
    data.write_shards(dialogues, path, info)
    return path
