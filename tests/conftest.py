"""How tests share two processes, and what many of them share."""

import functools
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from cluster.local.start import up
from cluster.local.state import LocalCluster
from cluster.local.stop import down
from tests.cluster.local.support import small
from tests.proxies import PROXIES
from tests.stores import Store
from tests.tune.runner.ray_nodes import NODE_SETTINGS
from tune.tracking.store import connect

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # So does what nohup starts ignore the end of its terminal, which tests are about as well.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A shared machine says nothing of an example's own time; a test that hangs meets pytest's limit.
settings.register_profile("dclf", deadline=None)
settings.load_profile("dclf")

STARTS_SERVERS = re.compile(r"\bpytest\.mark\.(ray|mlflow|browser)\b")
STARTS_NODES = re.compile(r"\bshared_cluster\b|\bray_nodes\b|\bTwoNodes\b")
CLUSTERS, SERVERS = GROUPS = ("clusters", "servers")
SLOW = re.compile(r"\bpytest\.mark\.slow\b")


class FilesApart(LoadScopeScheduling):
    """Gives whole files to the test processes; those that start servers stay together in two groups.

    A fixture of a file or a session is so made once, and no cluster has another one beside itself: one group are the
    files whose tests start nodes of a cluster and those of the layer ``cluster``, the other those that start a Ray of
    their own, a server or a browser. Both wait more than they compute.
    pytest-xdist documents no way to choose the scope; its own schedulers override this method.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return group_of(self.config.rootpath, file)


@functools.cache
def group_of(root: Path, file: str) -> str:
    """The group that a file of tests belongs to; the file itself where it starts nothing."""
    text = (root / file).read_text(encoding="utf-8")
    if STARTS_SERVERS.search(text) is None:
        return file
    return CLUSTERS if file.startswith("tests/cluster/") or STARTS_NODES.search(text) else SERVERS


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesApart:
    """Spread the tests by file: pytest-xdist's own ``loadgroup`` does nothing under pytest 9.2."""
    return FilesApart(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest work first, so that both processes come to their end at once: the two groups, then slow files.

    The tests of the shared cluster are the last of theirs: it ends with the session, and no other test has it beside
    itself.
    """

    def place(item: pytest.Item) -> tuple[int, bool]:
        file = item.nodeid.partition("::")[0]
        return rank_of(config.rootpath, file), "shared_cluster" in getattr(item, "fixturenames", ())

    items.sort(key=place)


@functools.cache
def rank_of(root: Path, file: str) -> int:
    """When a file of tests is begun: 0 for the first."""
    group = group_of(root, file)
    if group in GROUPS:
        return GROUPS.index(group)
    is_slow = SLOW.search((root / file).read_text(encoding="utf-8")) is not None
    return len(GROUPS) if is_slow else len(GROUPS) + 1


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two nodes of two slots and an MLflow server, for all tests that leave them as they were.

    Their user has a proxy, which reaches none of them.
    """
    folder = tmp_path_factory.mktemp("shared") / "cluster"
    try:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {**PROXIES, **NODE_SETTINGS}.items():
                environment.setenv(name, value)
            cluster = up(small(cpus=2), folder)
        yield cluster
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
