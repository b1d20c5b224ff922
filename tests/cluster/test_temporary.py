import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.temporary import PREFIX, TemporaryFolder, clear_abandoned

ROOT = Path(__file__).parents[2]
MAKES = re.compile(r"\b(mkdtemp|TemporaryDirectory)\(")
WITHOUT_OWNER = {"cluster/socket_folder.py"}
"""The folder of a local cluster outlives the process that made it."""
CODE = """\
from pathlib import Path
from cluster.temporary import TemporaryFolder
folder = TemporaryFolder("study")
(folder.path / "below").mkdir()
(folder.path / "below" / "file").touch()
print(folder.path, flush=True)
input()
"""


@contextmanager
def owner(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process with a temporary folder; it ends with its stdin."""
    with subprocess.Popen(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def test_the_next_process_clears_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(outside)
    (tmp_path / f"{PREFIX}file").touch()
    others = {f"{PREFIX}link", f"{PREFIX}file", "outside"}
    with owner(tmp_path) as (living, its), owner(tmp_path) as (killed, lost):
        killed.kill()
        killed.wait()
        assert (lost / "below" / "file").exists(), "a killed process leaves its folder"
        with owner(tmp_path) as (later, own):
            assert {path.name for path in tmp_path.iterdir()} == {*others, its.name, own.name}
            assert (its / "below" / "file").exists()
            end(later)
        end(living)
    assert {path.name for path in tmp_path.iterdir()} == others, "a folder goes with its process"
    assert (outside / "file").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's folder")
def test_another_users_folder_stays(tmp_path: Path) -> None:
    theirs = tmp_path / f"{PREFIX}study-theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    clear_abandoned(tmp_path)
    assert theirs.exists()


def test_a_folder_that_is_just_made_is_not_taken_for_an_abandoned_one(tmp_path: Path) -> None:
    done = threading.Event()

    def clear() -> None:
        while not done.is_set():
            clear_abandoned(tmp_path)

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        folders = [TemporaryFolder("many", tmp_path) for _ in range(300)]
    finally:
        done.set()
        thread.join()
    assert all(folder.path.is_dir() for folder in folders)
    for folder in folders:
        folder.close()
    assert not list(tmp_path.iterdir())


def test_it_is_removed_once(tmp_path: Path) -> None:
    with TemporaryFolder("short", tmp_path) as path:
        assert path.parent == tmp_path
    assert not path.exists()
    folder = TemporaryFolder("short", tmp_path)
    folder.close()
    folder.path.mkdir()
    folder.close()
    assert folder.path.exists(), "what has the name now is somebody else's"


def test_nobody_makes_temporary_folders_that_stay() -> None:
    sources = [path for layer in ("dclf", "cluster", "tune") for path in (ROOT / layer).rglob("*.py")]
    making = {str(path.relative_to(ROOT)) for path in sources if MAKES.search(path.read_text(encoding="utf-8"))}
    assert making - WITHOUT_OWNER == {"cluster/temporary.py"}
