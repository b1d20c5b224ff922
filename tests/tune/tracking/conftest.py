import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tune.tracking.samples import save_trained
from tune.progress.log_messages import messages_to
from tune.tracking.store import Store, connect


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(autouse=True)
def nothing_is_said(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that does not listen fails at a message: nothing is refused or lost."""
    if "log_messages" in request.fixturenames:
        yield
        return
    with messages_to(pytest.fail):
        yield


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For runs whose figures nobody looks at: drawing them takes longer than all the rest of a short run."""
    monkeypatch.setattr("tune.tracking.records.figures", lambda _final: {})


@pytest.fixture
def sqlite_uri(empty_store: Path, tmp_path: Path) -> str:
    (tmp_path / "store").mkdir()
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'store' / 'mlflow.db')}"


@pytest.fixture
def store(sqlite_uri: str) -> Store:
    return connect(sqlite_uri, "dclf")


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_trained(tmp_path_factory.mktemp("trained") / "model")
