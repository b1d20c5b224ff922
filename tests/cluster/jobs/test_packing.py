import zipfile
from pathlib import Path

import pytest

from cluster.jobs import packing
from cluster.jobs.endpoint import JobError
from cluster.jobs.packing import NOTE, pack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    for name in (
        *("my.yaml", "code/model.py", "notes/read.me"),
        *(
            ".git/config",
            "dclf-runs/studies/a/study.yaml",
            "env/pyvenv.cfg",
            "env/lib/big.py",
            "code/__pycache__/m.pyc",
        ),
        *("shards/demo/train-0.arrow", "shards/demo/manifest.json", "features.pkl", "best.pt", "secrets/server.key"),
    ):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return project


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist()) - {NOTE}


def test_code_and_configurations_go_along_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "job.zip", needed=[folder / "my.yaml"])
    assert names(packed.path) == {"my.yaml", "code/model.py", "notes/read.me"}
    assert packed.files == 3


def test_the_same_files_are_the_same_package(folder: Path, tmp_path: Path) -> None:
    first = pack(folder, tmp_path / "first.zip").path.read_bytes()
    (folder / "my.yaml").touch()
    assert pack(folder, tmp_path / "second.zip").path.read_bytes() == first


def test_an_empty_folder_is_a_package_too(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert pack(tmp_path / "empty", tmp_path / "job.zip").files == 0
    with zipfile.ZipFile(tmp_path / "job.zip") as archive:
        assert archive.namelist() == [NOTE]


def test_names_and_paths_can_be_left_out(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "job.zip", exclude=["notes", "code/*.py"])
    assert names(packed.path) == {"my.yaml"}


def test_links_out_of_the_folder_stay(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("mine", encoding="utf-8")
    (folder / "outside").symlink_to(tmp_path / "private")
    (folder / "inside").symlink_to("my.yaml")
    assert names(pack(folder, tmp_path / "job.zip").path) >= {"inside", "my.yaml"}
    assert "outside" not in names(tmp_path / "job.zip")


def test_too_large_a_folder_names_its_largest_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "LIMIT_BYTES", 2 << 20)
    (folder / "code" / "table.csv").write_bytes(bytes(3 << 20))
    with pytest.raises(JobError, match=r"may hold 2 MiB, holds 3 MiB.*code/table\.csv \(3 MiB\).*--exclude"):
        pack(folder, tmp_path / "job.zip")
    assert names(pack(folder, tmp_path / "job.zip", exclude=["*.csv"]).path) >= {"my.yaml"}


def test_too_many_files_are_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LIMIT_FILES", 2)
    with pytest.raises(JobError, match="may hold 2 files"):
        pack(folder, tmp_path / "job.zip")


@pytest.mark.parametrize(
    ("needed", "why"), [("features.pkl", "left out"), ("../elsewhere.yaml", "must be in the folder")]
)
def test_what_the_command_reads_must_go_along(folder: Path, tmp_path: Path, needed: str, why: str) -> None:
    with pytest.raises(JobError, match=why):
        pack(folder, tmp_path / "job.zip", needed=[folder / needed])
