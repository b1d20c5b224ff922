"""Standard streams as a shell may give them to the installed program; longer work is in ``test_processes``."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tune.commands.project import DCLF
from tune.commands.streams import StandardStream

PRINT = """\
import sys
from tune.commands.streams import open_streams
open_streams()
print("63.70 ± 0.42 (↓3.70) – Müller …")
"""


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a command, in which $DCLF and $PYTHON stand for the programs."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "DCLF": DCLF, "PYTHON": sys.executable, "PRINT": PRINT, **environment},
        capture_output=True,
        encoding="latin-1" if "latin" in environment.get("PYTHONIOENCODING", "") else "utf-8",
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("encoding", "line"),
    [
        ("ascii", "63.70 +- 0.42 (-3.70) - M\\xfcller ..."),
        ("latin-1", "63.70 ± 0.42 (-3.70) - Müller ..."),
        ("utf-8", "63.70 ± 0.42 (↓3.70) – Müller …"),
    ],
)
def test_what_an_encoding_lacks_has_a_plain_form(encoding: str, line: str, tmp_path: Path) -> None:
    done = shell('"$PYTHON" -c "$PRINT"', tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{line}\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_neither_work_nor_exit_code(closed: str, tmp_path: Path) -> None:
    command = f'"$DCLF" data generate shards --preset iemocap-small --dialogues 6 {closed}'
    done = shell(command, tmp_path)
    assert (done.returncode, done.stderr.partition(": ")[0]) == (0, "" if "2>&-" in closed else "next")
    assert (tmp_path / "shards" / "manifest.json").exists()
    again = shell(command, tmp_path)
    assert again.returncode == 2
    assert again.stdout == ""
    assert again.stderr.startswith("" if "2>&-" in closed else "dclf: error: shards")
    assert "Traceback" not in again.stderr


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    for words in ("--help", "list --help", "version"):
        done = shell(f'"$DCLF" {words} | true', tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), words


@pytest.mark.slow
def test_what_cannot_be_written_is_an_error_of_the_output_alone(tmp_path: Path) -> None:
    done = shell('"$DCLF" list > /dev/full', tmp_path)
    assert (done.returncode, done.stderr) == (1, "dclf: error: standard output: No space left on device\n")
    done = shell('"$DCLF" data inspect nowhere 2> /dev/full', tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_stream_knows_that_nobody_reads_it() -> None:
    reading, writing = os.pipe()
    file = StandardStream(writing)
    with io.TextIOWrapper(io.BufferedWriter(file), write_through=True) as stream:
        print("read", file=stream, flush=True)
        assert not file.unread
        os.close(reading)
        print("unread", file=stream, flush=True)
        assert (file.unread, file.error) == (True, None)
        print("more", file=stream, flush=True)
    os.close(writing)


def test_closed_files_are_opened_for_those_who_inherit_them(tmp_path: Path) -> None:
    code = "import subprocess as s; from tune.commands.streams import open_streams as o; o(); s.run('ls', check=True)"
    assert shell(f'"$PYTHON" -c "{code}" >&- 2>&-', tmp_path).returncode == 0


def test_closed_input_is_as_if_there_were_none(tmp_path: Path) -> None:
    code = "import sys; from tune.commands.streams import open_streams as o; o(); print(sys.stdin.isatty(), input())"
    done = shell(f'"$PYTHON" -c "{code}" <&-', tmp_path)
    assert done.stderr.splitlines()[-1] == "EOFError: EOF when reading a line"
