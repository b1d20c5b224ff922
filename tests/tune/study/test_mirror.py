"""Studies in a store: what is fetched and uploaded when, and what is told where the store refuses."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from cluster.storage import SNAPSHOT, StorageError, checked_storage, latest_checkpoint
from dclf.config import Config, DataConfig, TrainConfig
from dclf.data.storage import Folder
from dclf.training.checkpoint import STATE_FILE
from tests.ports import free_ports
from tests.stores import REGION, SECRET, Store, use
from tests.tune.runner.sessions import Driver, definition
from tests.tune.tracking.server import wait_until
from tune.analysis.summary import list_studies
from tune.config.sweep_settings import SweepSettings
from tune.runner.tidy import tidy
from tune.search.checks import sweep_problems
from tune.study.checkpoints import bytes_of, has_checkpoint
from tune.study.disk import disk_trouble
from tune.study.folder import StudyFolder
from tune.study.history import HISTORY_FILE
from tune.study.locks import HeldElsewhereError, only_driver
from tune.study.mirror import ELSEWHERE
from tune.study.places import StudyError, study_names
from tune.study.progress import worker_of
from tune.study.training_files import TrainingFiles, at_hand, patiently, written_to

STATE = b"state" * 1000
Move = Callable[[str], None]


@pytest.fixture
def place(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    use(store, monkeypatch, tmp_path / "here")
    return f"s3://{store.bucket()}/studies"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Move:
    """Go on as another machine, with working copies of its own."""
    return lambda machine: monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))


def create(place: str, name: str = "gammas") -> StudyFolder:
    return StudyFolder.create(place, definition(name))


def test_options_in_a_uri_stay_out_of_the_names_of_what_lies_there(place: str) -> None:
    folder = create(f"{place}?region={REGION}")
    assert folder.address == f"{place}/gammas?region={REGION}"
    assert folder.address_of(folder.path / "report", results=True) == f"{place}/gammas/files/report?region={REGION}"
    train(folder, 0)
    files = TrainingFiles(folder.address, 1, 3)
    snapshot = b'{"latest_checkpoint_result": {"checkpoint_dir_name": "checkpoint_1"}}'
    Folder.of(files.storage).write_bytes(f"{files.name}/{SNAPSHOT}", snapshot)
    files.close()
    here = f"{place}/gammas/trials"
    assert latest_checkpoint(files.storage, files.name) == f"{here}/1/s3/checkpoint_1?region={REGION}"
    assert sorted(Folder.of(here).files()) == [f"0/s3/{HISTORY_FILE}", f"0/s3/{STATE_FILE}", f"1/s3/{SNAPSHOT}"]
    assert StudyFolder.open(f"{place}?region={REGION}", "gammas").fetched(0, 3).joinpath(STATE_FILE).exists()


def train(folder: StudyFolder, number: int, seed: int = 3) -> None:
    """What a trial's actor leaves behind."""
    files = TrainingFiles(folder.address, number, seed)
    files.fetch()
    (files.local / STATE_FILE).write_bytes(STATE)
    (files.local / HISTORY_FILE).write_text("[]")
    files.keep()
    files.close()
    assert not files.local.exists()


def test_another_machine_goes_on_where_the_first_one_stopped(place: str, on: Move) -> None:
    folder = create(place)
    with folder.locked():
        driver = Driver(folder)
        for trial in (driver.session.next(), driver.session.next()):
            assert trial is not None
            driver.run(trial)
    trials = folder.ledger.trials
    on("there")
    again = StudyFolder.open(place, "gammas")
    assert again.ledger.trials == trials
    assert again.definition.sweep == folder.definition.sweep
    assert again.address == f"{place}/gammas"
    with again.locked():
        Driver(again).work()
    on("here")
    assert StudyFolder.open(place, "gammas").ledger.trials == again.ledger.trials
    assert [summary["ended"] for summary in list_studies(place)] == [4]


@pytest.mark.slow
def test_a_study_is_driven_from_one_machine_at_a_time(place: str, on: Move) -> None:
    folder = create(place)
    with folder.locked():
        assert worker_of(folder) == ""
        on("there")
        other = StudyFolder.open(place, "gammas")
        assert worker_of(other) == ""  # the same process after all
        words = r"study 'gammas' is being worked on by process \d+ on .*, which said so \d+ s ago; .*lapses"
        with pytest.raises(StudyError, match=words), other.locked():
            pass
    with other.locked():
        pass


def test_a_checkpoint_is_fetched_when_somebody_reads_it(place: str, on: Move) -> None:
    folder = create(place)
    train(folder, 0)
    on("there")
    other = StudyFolder.open(place, "gammas")
    marked = other.checkpoint(0, 3)
    assert sorted(path.name for path in marked.iterdir()) == [HISTORY_FILE, f"{STATE_FILE}{ELSEWHERE}"]
    assert has_checkpoint(marked)
    assert bytes_of(marked) == len(STATE)
    assert (other.fetched(0, 3) / STATE_FILE).read_bytes() == STATE
    assert (other.fetched(0, 3) / STATE_FILE).read_bytes() == STATE
    assert not has_checkpoint(other.checkpoint(1, 3))


def test_a_training_goes_on_from_what_is_at_the_uri(place: str) -> None:
    folder = create(place)
    train(folder, 0)
    files = TrainingFiles(folder.address, 0, 3)
    files.fetch()
    assert (files.local / STATE_FILE).read_bytes() == STATE
    files.close()


@pytest.mark.slow
def test_superfluous_checkpoints_are_deleted_in_the_store_and_epochs_stay(place: str, on: Move) -> None:
    folder = create(place)
    with folder.locked():
        Driver(folder).work()
    for number in folder.ledger.trials:
        train(folder, number)
    on("there")
    other = StudyFolder.open(place, "gammas")
    with other.locked():
        assert tidy(StudyFolder.open(place, "gammas"), 1) == 3 * len(STATE)
    left = Folder.of(f"{place}/gammas/trials").files()
    assert sum(name.endswith(STATE_FILE) for name in left) == 1
    assert sum(name.endswith(HISTORY_FILE) for name in left) == 4


def test_reports_and_results_are_there_on_every_machine(place: str, on: Move) -> None:
    folder = create(place)
    with folder.locked():
        (folder.path / "report").mkdir()
        (folder.path / "report" / "report.html").write_text("first")
    (folder.path / "report" / "report.html").write_text("second")
    folder.refresh()
    folder.share_files()
    on("there")
    other = StudyFolder.open(place, "gammas")
    with written_to(other.address_of(other.path / "perturbations" / "test" / "0-s3", results=True)) as results:
        (results / "summary.json").write_text("{}")
    on("here")
    again = StudyFolder.open(place, "gammas")
    assert (again.path / "perturbations" / "test" / "0-s3" / "summary.json").read_text() == "{}"
    assert (other.path / "report" / "report.html").read_text() == "second"
    with at_hand(f"{place}/gammas/files/perturbations/test/0-s3") as copy:
        assert [path.name for path in copy.iterdir()] == ["summary.json"]
    assert not copy.exists()


def test_a_report_that_another_machine_has_written_again_replaces_the_own_one(place: str, on: Move) -> None:
    folder = create(place)
    report = folder.path / "report" / "report.html"
    report.parent.mkdir()
    report.write_text("of the first machine")
    folder.share_files()
    on("there")
    other = StudyFolder.open(place, "gammas")
    (other.path / "report" / "report.html").write_text("of the second")
    other.share_files()
    on("here")
    folder.refresh()
    assert report.read_text() == "of the second"


def test_processes_that_share_a_working_copy_leave_each_other_s_files_alone(place: str) -> None:
    training = create(place).path / "trials" / "0" / "s3"
    training.mkdir(parents=True)
    (training / f".{HISTORY_FILE}.7-8").write_text("half")
    for number in range(500):
        (training / f"superfluous-{number}").touch()
    folders = [StudyFolder.open(place, "gammas") for _ in range(4)]
    for other in folders:
        other.trainings(0)  # asks the store, so that all begin to delete at the same time
    with ThreadPoolExecutor(len(folders)) as pool:
        list(pool.map(lambda other: other.checkpoint(0, 3), folders))
    assert [path.name for path in training.iterdir()] == [f".{HISTORY_FILE}.7-8"]


class OwnError(Exception):
    """As the clients of stores raise them that fsspec opens: of no common kind."""


class MovingStore(LocalFileSystem):  # type: ignore[misc]
    """A store that fsspec opens, and that may be away."""

    protocol = "moving"
    away = threading.Event()

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> Any:
        if self.away.is_set():
            raise OwnError("503, try again later")
        if "w" in mode:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        return super()._open(path, mode, block_size, **options)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        if self.away.is_set():
            raise OwnError("503, try again later")
        super().rm(path, recursive, maxdepth)


@pytest.fixture
def moving(on: Move, tmp_path: Path) -> Iterator[str]:
    """A folder of studies in such a store."""
    on("here")
    fsspec.register_implementation("moving", MovingStore, clobber=True)
    yield f"moving://{tmp_path}/studies"
    MovingStore.away.clear()


def test_a_store_whose_errors_are_its_own_is_waited_for(
    moving: str, on: Move, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = create(moving)
    with folder.locked():
        MovingStore.away.set()
        folder.ledger.note("kept here meanwhile")
        wait_until(lambda: "503, try again later; trials wait" in caplog.text, 30)
        MovingStore.away.clear()
        wait_until(lambda: "answers again" in caplog.text, 30)
    on("there")
    assert [note["kind"] for note in StudyFolder.open(moving, "gammas").ledger.notes] == ["kept here meanwhile"]


def test_a_store_whose_errors_are_its_own_is_given_up_in_the_end(moving: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune.study.remote_work.CLOSING_S", 0.1)
    folder = create(moving)
    with (  # noqa: PT012 - the last two lines are what a driver does
        pytest.raises(
            StorageError, match=r"503, try again later, for 0 s; \d+ bytes of the study's records are on this"
        ),
        folder.locked(),
    ):
        MovingStore.away.set()
        folder.ledger.note("kept here")


def test_an_address_that_nobody_serves_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="cannot open this kind of URI"):
        patiently("nowhere://x", lambda: Folder.of("nowhere://x").write_bytes("x", b""))


def test_the_end_that_another_machine_has_overtaken_is_set_aside(
    place: str, on: Move, caplog: pytest.LogCaptureFixture
) -> None:
    folder = create(place)
    folder.ledger.note("never uploaded")
    on("there")
    other = StudyFolder.open(place, "gammas")
    with other.locked():
        other.ledger.note("went on")
    on("here")
    again = StudyFolder.open(place, "gammas")
    assert [note["kind"] for note in again.ledger.notes] == ["went on"]
    (aside,) = again.path.glob("ledger.jsonl.overtaken-*")
    assert "never uploaded" in aside.read_text()
    assert aside.name in caplog.text


def test_what_was_not_uploaded_is_uploaded_by_the_next_driver(place: str, on: Move) -> None:
    folder = create(place)
    folder.ledger.note("killed at once")
    with StudyFolder.open(place, "gammas").locked():
        pass
    on("there")
    assert [note["kind"] for note in StudyFolder.open(place, "gammas").ledger.notes] == ["killed at once"]


def test_a_run_has_one_driver_on_any_machine(place: str) -> None:
    with (
        only_driver(f"{place}/run"),
        pytest.raises(HeldElsewhereError, match=r"^is being worked on by process"),
        only_driver(f"{place}/run"),
    ):
        pytest.fail("two drivers train one run")
    with only_driver(f"{place}/run") as require_ours:
        require_ours()


def test_names_are_those_of_the_store(place: str, on: Move) -> None:
    assert study_names(place) == []
    create(place, "one")
    create(place, "two")
    on("there")
    assert sorted(study_names(place)) == ["one", "two"]
    with pytest.raises(StudyError, match="study 'one' exists already"):
        create(place, "one")
    with pytest.raises(StudyError, match=r"no study 'three' in s3://.*; it has: (one, two|two, one)"):
        StudyFolder.open(place, "three")


def test_a_driver_that_was_taken_over_hears_of_it(
    place: str, on: Move, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tune.study.remote_work.RENEWED_S", 0.1)
    folder = create(place)
    with folder.locked():
        claims = Folder.of(f"{place}/gammas/claims")
        for name in claims.files():
            claims.delete(name)
        wait_until(lambda: folder.lost is not None)
        folder.ledger.note("nobody reads this")
    assert "was taken over by another driver" in str(folder.lost)
    assert str(folder.lost) in caplog.messages
    on("there")
    assert StudyFolder.open(place, "gammas").ledger.notes == []


def test_a_store_that_stays_away_is_told_with_what_is_only_here(
    place: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune.study.remote_work.CLOSING_S", 0.1)
    monkeypatch.setattr("dclf.data.storage.ATTEMPTS", 1)
    folder = create(place)
    try:
        words = r"\d\d+ bytes of the study's records are on this machine only"
        with pytest.raises(StorageError, match=words):
            write_behind_a_closed_gate(folder, store)
        trouble = disk_trouble(folder.address)
        assert trouble is not None
        assert "the store does not answer" in str(trouble)
        with pytest.raises(StorageError, match=r"for 0 s"):
            patiently(place, lambda: Folder.of(place).write_bytes("x", b""), patience=0)
    finally:
        store.gate.open()
    assert disk_trouble(folder.address) is None


def write_behind_a_closed_gate(folder: StudyFolder, store: Store) -> None:
    with folder.locked():
        store.gate.close()
        folder.ledger.note("kept here")


def test_a_bucket_that_is_not_there_is_told_before_anything_starts(place: str) -> None:
    for ask in (study_names, lambda storage: StudyFolder.open(storage, "gammas"), create):
        with pytest.raises(StorageError, match=r"s3://no-such-bucket.*the bucket does not exist: create it"):
            ask("s3://no-such-bucket/studies")
    with pytest.raises(StorageError, match=r"sweep\.storage: .*the bucket does not exist: create it"):
        checked_storage("s3://no-such-bucket/studies", "", key="sweep.storage")


@pytest.mark.slow
def test_a_store_that_nobody_reaches_is_told_within_15_seconds(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"the store does not answer: check the network, AWS_ENDPOINT_URL"):
        checked_storage(place, "run")
    assert time.monotonic() - start < 15


def test_missing_permissions_are_told(place: str, store: Store) -> None:
    store.refuse(0)
    try:
        with pytest.raises(StorageError, match=r"the credentials are refused|no permission"):
            checked_storage(place, "run")
    finally:
        store.refuse(10**9)


SECRETS = (f"s3://AKIA:{SECRET}@bucket/x", f"s3://bucket/x?secret_key={SECRET}", f"gs://{SECRET}@bucket/x")


@pytest.mark.parametrize("uri", SECRETS)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    config = Config(data=DataConfig(shards=uri), train=TrainConfig(storage=uri))
    problems = [*config.problems(), *sweep_problems(SweepSettings(storage=uri), Config())]
    assert [problem.partition(":")[0] for problem in problems] == ["data.shards", "train.storage", "sweep.storage"]
    for ask in (Folder.of, study_names, lambda place: checked_storage(place, "run"), create):
        with pytest.raises((ValueError, StorageError), match="must hold no credentials") as refusal:
            ask(uri)
        problems.append(str(refusal.value))
    assert all("environment" in problem and SECRET not in problem for problem in problems)


def test_a_parameter_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"may set region, endpoint_override, scheme, sets colour"):
        Folder.of("s3://bucket/x?colour=blue")
