"""How tests share two processes, and what many of them share."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from cluster.local.start import up
from cluster.local.state import LocalCluster
from cluster.local.stop import down
from tests.cluster.local.support import small
from tests.stores import Store
from tune.tracking.store import connect

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A shared machine says nothing of an example's own time; a test that hangs meets pytest's limit.
settings.register_profile("dclf", deadline=None)
settings.load_profile("dclf")

HEAVY = ("ray", "mlflow", "browser")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group heavy tests together, and every other test with those of its file, whose fixtures it shares.

    Those of the shared cluster come last: it ends with the session, and no other test has it beside itself.

    pytest-xdist 3.8 cannot mark the groups under pytest 9.2, whose node ids do not change: tests are spread one by one,
    and none may rely on another of its file.
    """
    items.sort(key=lambda item: "shared_cluster" in getattr(item, "fixturenames", ()))
    for item in items:
        heavy = any(item.get_closest_marker(marker) for marker in HEAVY)
        item.add_marker(pytest.mark.xdist_group("heavy" if heavy else item.path.stem))


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two nodes of two slots and an MLflow server, for all tests that leave them as they were."""
    folder = tmp_path_factory.mktemp("shared") / "cluster"
    try:
        yield up(small(cpus=2), folder)
    finally:
        down(folder)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables, which take seconds to make, and no experiment of ours."""
    file = tmp_path_factory.mktemp("empty-store") / "mlflow.db"
    connect(f"sqlite:///{file}", "Default")
    return file


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A server of the S3 protocol."""
    running = Store(tmp_path_factory.mktemp("store") / "server.log")
    try:
        running.start()
        yield running
    finally:
        running.stop()
