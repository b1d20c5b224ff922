import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.session import ray_session
from dclf import data
from dclf.training.reports import EpochReport, FinalReport
from tests.paper_data import write_like_paper
from tests.tune.analysis.comparison import studies
from tests.tune.disk_waits import without_disk_waits
from tests.tune.progress.reports import CLASSES, Watch, epoch_report, split_report
from tests.tune.runner.processes import Processes
from tests.tune.study import samples
from tests.tune.tracking.server import Server
from tune.progress.log_messages import messages_to
from tune.study.folder import StudyFolder


@pytest.fixture(scope="package")
def local_ray() -> Iterator[None]:
    """One Ray for the runs and sweeps that tests start in their own process."""
    with ray_session(num_cpus=3):
        yield


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Those of one test; none may be left at its end."""
    own = Processes()
    try:
        yield own
        own.wait_until_gone(60)
    finally:
        own.end()


@pytest.fixture(scope="session")
def lasting_server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "mlflow.db")
    running = Server(folder)
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture
def server(lasting_server: Server) -> Server:
    """One for all tests, each of which records under names of its own; started again where a test has killed it."""
    if not lasting_server.running:
        lasting_server.start()
    return lasting_server


@pytest.fixture
def log_messages() -> Iterator[list[str]]:
    """Log messages of a test, from whatever thread."""
    messages: list[str] = []
    with messages_to(messages.append):
        yield messages


@pytest.fixture(scope="session", autouse=True)
def no_disk_waits() -> Iterator[None]:
    with without_disk_waits():
        yield


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


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """Shards like the paper's IEMOCAP."""
    return write_like_paper(tmp_path / "own")


@pytest.fixture
def ablations(tmp_path: Path, own_data: Path) -> StudyFolder:
    """An ablation on the paper's data set."""
    return studies.ablation_study(tmp_path, studies.with_paper(own_data))


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def history() -> list[EpochReport]:
    return [epoch_report(1, 0.5, (1, 0.5)), epoch_report(2, 0.625, (2, 0.625)), epoch_report(3, 0.6, (2, 0.625))]


@pytest.fixture
def final(history: list[EpochReport]) -> FinalReport:
    splits = {"val": split_report("val", 0.625), "test": split_report("test", 0.7207)}
    return FinalReport(class_names=CLASSES, history=history, splits=splits)
