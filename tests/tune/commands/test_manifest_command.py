import os
from pathlib import Path

import pytest

from cluster.manifests import FILES, SUMMARIES, manifest
from tune.commands.main import main

Streams = pytest.CaptureFixture[str]


@pytest.mark.parametrize("name", FILES)
def test_a_manifest_is_printed_as_it_is_packaged(name: str, capsys: Streams) -> None:
    assert main(["cluster", "manifest", name]) == 0
    output = capsys.readouterr()
    assert output.out == manifest(name)
    assert output.err == ""


def test_all_of_them_are_listed(capsys: Streams) -> None:
    assert main(["cluster", "manifest", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[name, file] for name, file in FILES.items()]
    assert all(line.endswith(SUMMARIES[name]) for name, line in zip(FILES, lines, strict=True))


def test_a_file_is_written_once_and_a_script_can_be_run(tmp_path: Path, capsys: Streams) -> None:
    script = tmp_path / "study.sh"
    assert main(["cluster", "manifest", "slurm", "--out", str(script)]) == 0
    assert "its first lines say what to change" in capsys.readouterr().err
    assert os.access(script, os.X_OK)
    script.write_text("mine")
    assert main(["cluster", "manifest", "slurm", "--out", str(script)]) == 2
    assert f"--out: {script} is there already; give another name" in capsys.readouterr().err
    assert script.read_text() == "mine"
    assert main(["cluster", "manifest", "aws", "--out", str(tmp_path / "aws.yaml")]) == 0
    assert not os.access(tmp_path / "aws.yaml", os.X_OK)


@pytest.mark.parametrize("words", [[], ["helm"], ["slurm", "--list"]])
def test_one_that_is_not_there_is_refused(words: list[str], capsys: Streams) -> None:
    assert main(["cluster", "manifest", *words]) == 2
    assert "manifest" in capsys.readouterr().err
