import errno
import fcntl
import threading
from pathlib import Path

import pytest

from tests.tune.tracking.server import wait_until
from tune.config.local_files import alone, cache_folder
from tune.study.mirror import working_copies


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def test_caches_lie_in_the_home_folder_unless_the_user_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "dclf"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "dclf"


def test_a_study_at_a_uri_needs_a_folder_for_its_working_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/dev/null/home")
    message = r"XDG_CACHE_HOME: must name a folder that can be written to, for working copies .*\(Not a directory\)"
    with pytest.raises(OSError, match=message):
        working_copies("s3://bucket/studies")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert working_copies("s3://bucket/studies").parent == tmp_path / "dclf" / "studies"


def test_whoever_waits_for_another_process_says_so(tmp_path: Path, log_messages: list[str]) -> None:
    entered = threading.Event()

    def second() -> None:
        with alone(tmp_path / "lock", "make the tables"):
            entered.set()

    with alone(tmp_path / "lock", "make the tables"):
        thread = threading.Thread(target=second)
        thread.start()
        wait_until(lambda: len(log_messages) == 1, 20)
        assert not entered.is_set()
    thread.join(20)
    assert entered.is_set()
    assert log_messages == [f"waiting for another process to make the tables ({tmp_path / 'lock'} is its lock)"]


def test_without_locks_the_work_is_done_with_a_warning(
    tmp_path: Path, log_messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with alone(tmp_path / "lock", "make the tables"):
        assert len(log_messages) == 1
