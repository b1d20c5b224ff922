"""Programs of ours as copies of the warm process."""

from collections.abc import Iterator
from contextlib import closing

import psutil
import pytest

from cluster.warm import Ready, WarmProcess, prepared
from cluster.warm_copy import Copy, start_copy
from tests.tune.study.processes import gone
from tests.tune.tracking.server import wait_until


@pytest.fixture
def warm() -> Iterator[WarmProcess]:
    ready = Ready(first=("colorsys",), modules=("wave",), threads=1, later=("no_such_module", "chunk", "sndhdr"))
    with closing(WarmProcess(ready)) as made:
        yield made


def said(copy: Copy) -> str:
    told = b""
    while part := copy.stdout.read(1 << 16):
        told += part
    return told.decode()


def lines(copy: Copy, program: str) -> list[str]:
    """What the interactive interpreter prints of a line of Python."""
    copy.stdin.write(f"{program}\nprint('over')\n".encode())
    told = ""
    while "over" not in told:
        told += copy.stdout.read(1 << 16).decode()
    return [line.removeprefix(">>> ") for line in told.splitlines()]


def open_files() -> int:
    return psutil.Process().num_fds()


def test_a_module_runs_with_its_words_and_ends_with_its_input(warm: WarmProcess) -> None:
    warm.prepare(raylet=7)
    copy = start_copy("json.tool", "--compact")
    assert copy is not None
    copy.stdin.write(b'{"a":   1}')
    copy.stdin.close()
    assert said(copy) == '{"a":1}\n'
    copy.kill()
    copy.stdout.close()


def test_what_the_warm_process_has_imported_is_there(warm: WarmProcess) -> None:
    warm.prepare(raylet=7)

    def imported() -> set[str]:
        copy = start_copy("code", "-q")
        assert copy is not None
        with copy.stdin, copy.stdout:
            found = lines(copy, "import os, sys; print(os.getppid(), *sys.modules)")[0].split()
            copy.kill()
        assert int(found[0]) == warm._process.pid
        return set(found)

    assert imported() >= {"colorsys", "wave"}
    # Nobody asks for a copy for a moment: what is for later follows.
    wait_until(lambda: imported() >= {"chunk", "sndhdr"}, 20)


def test_it_is_killed_with_what_it_has_started(warm: WarmProcess) -> None:
    warm.prepare(raylet=7)
    copy = start_copy("code", "-q")
    assert copy is not None
    program = "import os, subprocess; child = subprocess.Popen(['sleep', '60']); print(os.getpid(), child.pid)"
    pids = [int(word) for word in lines(copy, program)[0].split()]
    assert not any(map(gone, pids))
    copy.kill()
    wait_until(lambda: all(map(gone, pids)), 20)
    copy.kill()
    copy.stdin.close()
    copy.stdout.close()


def test_there_is_none_without_a_warm_process_whose_raylet_runs(warm: WarmProcess) -> None:
    before = open_files()
    assert prepared() is None
    assert start_copy("json.tool") is None
    warm.prepare(raylet=7)
    assert prepared() is warm
    warm._process.kill()
    warm._process.wait()
    assert start_copy("json.tool") is None
    warm.close()
    assert prepared() is None
    assert open_files() <= before
