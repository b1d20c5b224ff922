"""``--out`` that names no folder that can be written to: refused before anything is computed."""

import os
from pathlib import Path

import pytest

from dclf.data import generate, write_shards
from tests.tune.commands.studies import study_folder, two_ended
from tune.commands.main import main
from tune.config.local_files import output_problem

Streams = pytest.CaptureFixture[str]


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    monkeypatch.chdir(tmp_path)
    two_ended(study_folder(tmp_path / "studies"))
    info, dialogues = generate("iemocap-small", 12)
    write_shards(dialogues, "shards", info)
    return {
        "report": ["report", "gammas", "--storage", "studies"],
        "reproduce": ["reproduce", "iemocap", "--shards", "shards", "--only", "table4", "--quiet"],
        "perturb": ["perturb", "gammas", "--as", "study", "--storage", "studies"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", ["report", "reproduce", "perturb"])
def test_an_impossible_place_is_named_with_its_option(
    words: dict[str, list[str]], command: str, tmp_path: Path, capsys: Streams
) -> None:
    (tmp_path / "file").touch()
    messages = []
    # What is refused is the same for all of them; each of the others reads all that it would compute first.
    places = ("file/below", "/proc/nowhere", "x" * 300) if command == "report" else ()
    for place in ("file", *places, "s3://bucket/paper"):
        assert main([*words[command], "--out", place]) == 2
        messages.append(capsys.readouterr().err)
    shapes = [line.replace("\n", "").split("--out: must be a folder ")[1][:22] for line in messages]
    assert shapes == ["that can be made and w"] * (1 + len(places)) + ["on this machine, is s3"]
    assert all(line.startswith("dclf: error: --out: ") and line.count("\n") == 1 for line in messages)
    assert not [line for line in messages if "Errno" in line]
    assert {path.name for path in tmp_path.iterdir()} == {"file", "studies", "shards"}


def test_a_folder_that_can_be_written_to_is_made(tmp_path: Path) -> None:
    assert output_problem("--out", tmp_path / "new" / "folder") is None
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["new", f"new{os.sep}folder"]


def test_a_manifest_s_place_is_named(tmp_path: Path, capsys: Streams) -> None:
    assert main(["cluster", "manifest", "compose", "--out", str(tmp_path / "no" / "file")]) == 2
    assert "--out: must be a file that can be written, is " in capsys.readouterr().err


def test_a_storage_that_is_a_file_has_no_studies(tmp_path: Path, capsys: Streams) -> None:
    (tmp_path / "file").touch()
    assert main(["show", "gammas", "--storage", str(tmp_path / "file")]) == 2
    assert f"no study 'gammas' in {tmp_path}/file; it has: none" in capsys.readouterr().err
