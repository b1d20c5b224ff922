import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray  # noqa: F401 - brings psutil

from dclf.data import write_shards
from dclf.data.generator import generate
from tests.tune.runner.processes import Processes
from tests.tune.runner.ray_nodes import Nodes


@pytest.fixture(autouse=True)
def no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "small"
    info, dialogues = generate("iemocap-small", seed=3)
    write_shards(dialogues, folder, info)
    return folder


@pytest.fixture
def sqlite_uri(empty_store: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nodes, Processes]]:
    """A node of four slots that outlives the drivers, and the processes that may join it; all are gone with it."""
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    own = Processes(secret)
    nodes = Nodes(tmp_path_factory.mktemp("nodes"), own)
    try:
        nodes.head(cpus=4)
        yield nodes, own
        nodes.end()
        own.wait_until_gone(60)
    finally:
        nodes.end()
        own.end()
