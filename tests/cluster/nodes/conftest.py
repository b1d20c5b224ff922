import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes.two_nodes import TwoNodes
from tests.tune.runner.processes import Processes


@pytest.fixture(autouse=True)
def no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """One for all tests of this folder; whoever kills a node puts another in its place."""
    own = Processes({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    pair = TwoNodes(tmp_path_factory.mktemp("nodes"), own)
    try:
        pair.start()
        yield pair
        pair.end()
        own.wait_until_gone(60)
    finally:
        pair.end()
        own.end()


@pytest.fixture
def uri(empty_store: Path, tmp_path: Path) -> str:
    """Of an MLflow store of the test's own."""
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"
