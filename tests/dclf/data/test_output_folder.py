"""Where shards cannot be written, the error names the folder and the remedy, and nothing half-done stays."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem

from dclf.data import DataError, Dialogue, OutputFolderError, read_shards, write_shards
from dclf.data.storage import Folder
from tests.dclf.data.support import make_dialogue, make_dialogues, make_info


class FullDevice(LocalFileSystem):  # type: ignore[misc]
    """A local store that takes 3,000 bytes per file and then has no space left."""

    protocol = "fulldevice"

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> Any:
        file = Path(path).open(mode)  # noqa: SIM115 - the caller closes it
        return _Filling(file) if "w" in mode else file


class _Filling:
    def __init__(self, file: Any) -> None:
        self._file = file
        self.closed = False

    def write(self, block: bytes) -> int:
        if self._file.tell() + len(block) > 3000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self._file.write(block))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True
        self._file.close()


class ReadOnlyDevice(LocalFileSystem):  # type: ignore[misc]
    """A local store mounted read-only."""

    protocol = "readonlydevice"

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> Any:
        if "r" not in mode:
            raise OSError(errno.EROFS, "Read-only file system")
        return super()._open(path, mode, block_size, **options)


class ReadWriteDevice(LocalFileSystem):  # type: ignore[misc]
    """A local store that fsspec serves."""

    protocol = "readwritedevice"


@pytest.fixture(scope="module", autouse=True)
def devices() -> None:
    fsspec.register_implementation("readwritedevice", ReadWriteDevice, clobber=True)
    fsspec.register_implementation("fulldevice", FullDevice, clobber=True)
    fsspec.register_implementation("readonlydevice", ReadOnlyDevice, clobber=True)


def test_a_full_device_is_named_and_nothing_stays(tmp_path: Path) -> None:
    uri = f"fulldevice://{tmp_path}/set"
    with pytest.raises(OutputFolderError, match=rf"{uri}: cannot write the shards here \(.*No space left.*free space"):
        write_shards([make_dialogue(n, length=40) for n in range(20)], uri, make_info())
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_device_is_named(tmp_path: Path) -> None:
    uri = f"readonlydevice://{tmp_path}/set"
    with pytest.raises(OutputFolderError, match=rf"{uri}: cannot write.*Read-only.*make the folder writable"):
        write_shards(make_dialogues(), uri, make_info())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for place in (tmp_path / "file", tmp_path / "file" / "set"):
        with pytest.raises(OutputFolderError, match=f"{place}: cannot write the shards here"):
            write_shards(make_dialogues(), place, make_info())


_LIMITED = """
import resource, sys
from dclf.data import generate, write_shards
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
info, dialogues = generate("iemocap-small")
try:
    write_shards(dialogues, sys.argv[1], info)
except OSError as error:
    print(type(error).__name__, error)
"""


def test_a_local_file_that_cannot_grow_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path / "set")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"OutputFolderError {tmp_path}/set: cannot write the shards here")
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    write_shards(make_dialogues(), tmp_path, make_info())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(OutputFolderError, match=r"not empty .* choose another folder, or overwrite"):
        write_shards([make_dialogue()], tmp_path, make_info())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_overwriting_replaces_shards_and_nothing_else(tmp_path: Path) -> None:
    write_shards(make_dialogues(), tmp_path, make_info(), max_shard_bytes=1)
    (tmp_path / "notes.txt").write_text("mine")
    write_shards([make_dialogue(77)], tmp_path, make_info(), overwrite=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "index.arrow",
        "manifest.json",
        "notes.txt",
        "train-00000.arrow",
    ]
    assert [d.dialogue_id for d in read_shards(tmp_path)] == ["d77"]


@pytest.mark.parametrize("error", [RuntimeError("the source broke"), KeyboardInterrupt()])
@pytest.mark.parametrize("scheme", ["", "file://", "readwritedevice://"])
def test_overwriting_that_fails_leaves_the_set_that_was_there(
    tmp_path: Path, error: BaseException, scheme: str
) -> None:
    write_shards(make_dialogues(), tmp_path, make_info(), max_shard_bytes=1)
    (tmp_path / "probe.json").write_text("{}")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def failing() -> Iterator[Dialogue]:
        yield make_dialogue(77)
        assert read_shards(tmp_path).splits["train"] > 1, "a kill in here loses nothing"
        raise error

    with pytest.raises(type(error)):
        write_shards(failing(), f"{scheme}{tmp_path}", make_info(), overwrite=True)
    with pytest.raises(DataError):
        write_shards([make_dialogue(labels=np.full(3, 99))], f"{scheme}{tmp_path}", make_info(), overwrite=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    write_shards([make_dialogue(77)], f"{scheme}{tmp_path}", make_info(), overwrite=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.arrow", "manifest.json", "train-00000.arrow"]
    assert [dialogue.dialogue_id for dialogue in read_shards(tmp_path)] == ["d77"]


def test_what_a_killed_overwriting_left_is_cleared_away(tmp_path: Path) -> None:
    write_shards(make_dialogues(), tmp_path, make_info())
    (tmp_path / ".unfinished-shards").mkdir()
    (tmp_path / ".unfinished-shards" / "train-00007.arrow").write_bytes(b"half")
    write_shards([make_dialogue(77)], tmp_path, make_info(), overwrite=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.arrow", "manifest.json", "train-00000.arrow"]


def test_a_source_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[Dialogue]:
        yield from make_dialogues()
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write_shards(failing(), tmp_path / "set", make_info(), max_shard_bytes=1)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_that_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        write_shards([make_dialogue(speakers=make_dialogue().speakers + 5)], tmp_path, make_info())
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_the_source_own_errors_are_not_blamed_on_the_folder(tmp_path: Path) -> None:
    def failing() -> Iterator[Dialogue]:
        yield make_dialogue()
        raise FileNotFoundError("features.pkl")

    with pytest.raises(FileNotFoundError, match=r"^features.pkl$"):
        write_shards(failing(), tmp_path / "set", make_info())


def test_invalid_dialogues_leave_nothing_and_are_all_named(tmp_path: Path) -> None:
    wrong = [make_dialogue(n, speakers=make_dialogue(n).speakers + 5) for n in (1, 3)]
    with pytest.raises(DataError) as error:
        write_shards([make_dialogue(0), wrong[0], make_dialogue(2), wrong[1]], tmp_path / "set", make_info())
    assert len(error.value.problems) == 2
    assert "'d1'" in error.value.problems[0]
    assert "'d3'" in error.value.problems[1]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_several_write_at_once_is_always_that_of_one(tmp_path: Path) -> None:
    folder, contents = Folder.of(tmp_path), [bytes([writer]) * 100_000 for writer in range(4)]

    def write(content: bytes) -> None:
        for _ in range(50):
            folder.write_bytes("claim.json", content)
            assert folder.read_bytes("claim.json") in contents

    with ThreadPoolExecutor(len(contents)) as pool:
        list(pool.map(write, contents))
    assert folder.names() == ["claim.json"]


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "claim.json").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        Folder.of(tmp_path).write_bytes("claim.json", b"{}")
    assert Folder.of(tmp_path).names() == ["claim.json"]
