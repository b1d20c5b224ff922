import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tune.tracking.samples import save_trained
from tests.tune.tracking.server import Server
from tune.tracking.store import Store, connect


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables, which take seconds to make, and no experiment of ours."""
    file = tmp_path_factory.mktemp("empty-store") / "mlflow.db"
    connect(f"sqlite:///{file}", "Default")
    return file


@pytest.fixture
def sqlite_uri(empty_store: Path, tmp_path: Path) -> str:
    (tmp_path / "store").mkdir()
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'store' / 'mlflow.db')}"


@pytest.fixture
def store(sqlite_uri: str) -> Store:
    return connect(sqlite_uri, "dclf")


@pytest.fixture(scope="module")
def server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "mlflow.db")
    running = Server(folder)
    try:
        running.start()
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_trained(tmp_path_factory.mktemp("trained") / "model")
