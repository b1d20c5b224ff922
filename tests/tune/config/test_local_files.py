from pathlib import Path

import pytest

from tune.config.local_files import cache_folder
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
    refused = r"XDG_CACHE_HOME: must name a folder that can be written to, for working copies .*\(Not a directory\)"
    with pytest.raises(OSError, match=refused):
        working_copies("s3://bucket/studies")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert working_copies("s3://bucket/studies").parent == tmp_path / "dclf" / "studies"
