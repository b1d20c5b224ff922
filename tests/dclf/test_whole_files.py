from pathlib import Path

import pytest
import torch

from dclf.training import checkpoint
from dclf.whole_files import whole


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    place = tmp_path / "file"
    with whole(place) as first, whole(place) as second:
        first.write_text("the first")
        second.write_text("the second, which is done first")
        assert not place.exists()
    assert place.read_text() == "the first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, {"epoch": 1})

    def full(state: object, file: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path, {"epoch": 2})
    assert checkpoint.load(tmp_path)["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.STATE_FILE]
