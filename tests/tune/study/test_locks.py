"""Of the processes of a machine, one works on a run; where a file system has no locks, the user sees to that."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from tests.tune.runner.sessions import new_study
from tune.study.locks import HeldElsewhereError, holder_of, locked, only_driver
from tune.study.progress import worker_of


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file system without locks answers."""

    def flock(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_run_has_one_driver(tmp_path: Path) -> None:
    place = str(tmp_path / "runs" / "a")
    with (
        only_driver(place),
        pytest.raises(HeldElsewhereError, match=f"^is being worked on by process {os.getpid()} on .*; wait for it"),
        only_driver(place),
    ):
        pytest.fail("two drivers train one run")
    assert holder_of(tmp_path / "runs" / "a" / "lock") == ""
    with only_driver(place) as require_ours:
        require_ours()


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_study_is_worked_on_with_a_warning(tmp_path: Path, log_messages: list[str]) -> None:
    folder = new_study(tmp_path)
    with folder.locked():
        assert worker_of(folder) == ""
    assert [note.partition(": ")[2].partition(" (")[0] for note in log_messages] == [
        "nothing keeps a second process from working here, as there are no locks"
    ]


def test_a_held_lock_names_its_holder(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        assert holder_of(tmp_path / "lock") == f"process {os.getpid()} on {os.uname().nodename}"
