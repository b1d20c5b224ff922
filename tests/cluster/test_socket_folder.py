import stat
import tempfile
from pathlib import Path

import pytest

from cluster.socket_folder import SocketFolderError, make_socket_folder, short_parent, socket_settings

LONG = "x" * 150


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Variables that a test may set, as if its process began with them."""
    for name in ("RAY_TMPDIR", "TMPDIR", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)
    return monkeypatch


def test_ray_keeps_its_own_folder_where_that_has_room(temporary: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as short:
        for name in ("TMPDIR", "RAY_TMPDIR"):
            temporary.setenv(name, short)
            with socket_settings() as settings:
                assert settings == {}


@pytest.mark.parametrize("length", [45, 125, 150])
def test_a_long_tmpdir_gives_way_to_a_private_folder(
    length: int, tmp_path: Path, temporary: pytest.MonkeyPatch
) -> None:
    place = tmp_path / LONG[: max(1, length - len(str(tmp_path)))]
    place.mkdir()
    temporary.setenv("TMPDIR", str(place))
    with socket_settings() as settings:
        folder = Path(settings["RAY_TMPDIR"])
        assert len(str(folder)) < 32
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "ray").mkdir()
    assert not folder.exists()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("tmpdir", ["/dev/null/tmp", "relative"])
def test_a_tmpdir_that_nothing_can_be_written_to_gives_way_too(tmpdir: str, temporary: pytest.MonkeyPatch) -> None:
    temporary.setenv("TMPDIR", tmpdir)
    with socket_settings() as settings:
        assert Path(settings["RAY_TMPDIR"]).is_dir()


@pytest.mark.parametrize("folder", [f"/tmp/{LONG}", "/dev/null/ray"])
def test_a_folder_named_for_ray_is_not_passed_over(folder: str, temporary: pytest.MonkeyPatch) -> None:
    temporary.setenv("RAY_TMPDIR", folder)
    remedy = rf"RAY_TMPDIR: must name a folder of at most \d\d characters .* there is no room in {folder}"
    with pytest.raises(SocketFolderError, match=remedy), socket_settings():
        pass
    with pytest.raises(SocketFolderError, match=remedy):
        make_socket_folder()


def test_where_nothing_is_short_enough_there_is_no_parent(temporary: pytest.MonkeyPatch) -> None:
    assert short_parent(10) is not None
    assert short_parent(110) is None
