import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

from cluster.storage import (
    SNAPSHOT,
    StorageError,
    checked_storage,
    checkpoint_to_resume,
    latest_checkpoint,
    load_checkpoint,
    lost_storage_named,
    prove_writable,
)
from dclf.data.storage import Folder
from dclf.training.checkpoint import STATE_FILE, CheckpointError, save


@pytest.mark.parametrize("prefix", ["", "file://", "local://"])
def test_a_folder_is_made_and_left_empty(tmp_path: Path, prefix: str) -> None:
    checked_storage(f"{prefix}{tmp_path}/new/store", "run")
    assert list((tmp_path / "new" / "store").iterdir()) == []


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"train\.storage: cannot keep checkpoints.*choose another folder"):
        checked_storage(str(tmp_path / "file" / "store"), "run")


def test_a_study_s_storage_has_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"^sweep\.storage: cannot keep checkpoints"):
        checked_storage(str(tmp_path / "file" / "store"), "", resuming=True, key="sweep.storage")


def test_a_read_only_file_system_is_refused() -> None:
    with pytest.raises(StorageError, match=r"train\.storage"):
        checked_storage("/proc/dclf-store", "run")


def test_too_little_space_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=rf"{2**40} MiB must be free, \d+ MiB are"):
        checked_storage(str(tmp_path), "run", needed=2**60)


def test_a_store_in_one_process_is_refused() -> None:
    with pytest.raises(StorageError, match="one process only"):
        checked_storage("memory://store", "run")


def test_an_unknown_kind_of_uri_is_refused() -> None:
    with pytest.raises(StorageError, match="nosuchstore://bucket"):
        checked_storage("nosuchstore://bucket/store", "run")


def snapshot(run: Path, text: str) -> None:
    run.mkdir(parents=True, exist_ok=True)
    (run / SNAPSHOT).write_text(text)


def test_a_list_of_checkpoints_that_a_kill_cut_short_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    for number in (1, 2):
        save(run / f"checkpoint_{number}", {"epoch": number})
    (run / "checkpoint_3").mkdir()
    (run / "checkpoint_3" / STATE_FILE).write_bytes(b"half")
    snapshot(run, '{"latest_checkpoint_result": {"checkpoint_dir_name": "checkpoint_1"}}')
    assert checkpoint_to_resume(str(tmp_path), "run") == str(run / "checkpoint_1")
    snapshot(run, '{"latest_check')
    assert latest_checkpoint(str(tmp_path), "run") == str(run / "checkpoint_2")
    assert (run / SNAPSHOT).exists(), "the run may be at work, and only be asked for its state"
    assert checkpoint_to_resume(str(tmp_path), "run") == str(run / "checkpoint_2")
    assert not (run / SNAPSHOT).exists(), "Ray Train would not get past it"
    assert [message.partition("; ")[2] for message in caplog.messages] == [
        "the run goes on from its newest checkpoint that can be read"
    ]


class Shortening(MemoryFileSystem):
    """A store that keeps one byte of what it is sent."""

    protocol = "shortening"

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        facts: dict[str, Any] = super().info(path, **options)
        return {**facts, "size": 1} if facts["type"] == "file" else facts


def test_a_store_that_shortens_files_is_told_and_left_empty() -> None:
    store = pafs.PyFileSystem(pafs.FSSpecHandler(Shortening()))
    folder = Folder(store, "probed", "shortening://probed")
    store.create_dir("probed")
    with pytest.raises(OSError, match=r"a file of \d+ bytes came back as 1$"):
        prove_writable(folder)
    assert folder.names() == []


def test_a_taken_name_is_refused_unless_resuming(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / SNAPSHOT).write_text("{}")
    with pytest.raises(StorageError, match="another run named run"):
        checked_storage(str(tmp_path), "run")
    assert checked_storage(str(tmp_path), "run", resuming=True).root == str(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_device_lost_in_mid_run_is_named_with_how_to_go_on(number: int) -> None:
    words = r"train\.storage: a checkpoint could not be kept at disk/here \(.*\); free space .*, then resume r1$"
    with pytest.raises(StorageError, match=words), lost_storage_named("disk/here", "resume r1"):
        raise OSError(number, "the device says so")


@pytest.mark.parametrize("error", [StorageError("full"), ConnectionResetError(errno.ECONNRESET, "reset"), OSError("x")])
def test_other_errors_are_not_blamed_on_the_storage(error: OSError) -> None:
    with pytest.raises(type(error)) as failure, lost_storage_named("disk", "resume"):
        raise error
    assert failure.value is error


@pytest.mark.parametrize("prefix", ["", "file://", "local://"])
def test_a_checkpoint_comes_back(tmp_path: Path, prefix: str) -> None:
    save(tmp_path / "checkpoint", {"weights": torch.arange(3)})
    assert torch.equal(load_checkpoint(f"{prefix}{tmp_path}/checkpoint")["weights"], torch.arange(3))


@pytest.mark.slow
def test_reading_a_checkpoint_needs_no_ray(tmp_path: Path) -> None:
    save(tmp_path, {"epoch": 3})
    code = "import sys; from cluster.storage import load_checkpoint; print(load_checkpoint(sys.argv[1]), *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "'epoch': 3" in done.stdout
    assert "ray" not in done.stdout.split()


@pytest.mark.parametrize("prefix", ["", "local://"])
def test_an_absent_checkpoint_is_named(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(CheckpointError, match="absent"):
        load_checkpoint(f"{prefix}{tmp_path}/none")
