import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tune.runner.processes import Processes
from tests.tune.tracking.server import Server


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Those of one test; none may be left at its end."""
    own = Processes()
    try:
        yield own
        own.wait_until_gone(60)
    finally:
        own.end()


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
