"""Damaged, unfinished and foreign shard sets are refused by name, with a remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dclf.data import ShardError, read_shards, validate_shards, write_shards
from dclf.data.manifest import read_manifest, verify_shard
from dclf.data.reader import read_rows
from dclf.data.schema import columns_for
from tests.dclf.data.support import make_dialogues, make_info

SHARD = "val-00000.arrow"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shards(make_dialogues(), tmp_path / "set", make_info())
    return tmp_path / "set"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_is_noticed_before_a_row_is_given_out(folder: Path, data: st.DataObject) -> None:
    file = folder / SHARD
    sound = file.read_bytes()
    place = data.draw(st.integers(0, 8 * len(sound) - 1))
    damaged = bytearray(sound)
    damaged[place // 8] ^= 1 << place % 8
    file.write_bytes(damaged)
    try:
        rows = iter(read_shards(folder, split="val"))
        with pytest.raises(ShardError, match=rf"{SHARD} is damaged: expected .* found .*; write the shards again"):
            next(rows)
    finally:
        file.write_bytes(sound)


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
def test_a_truncated_shard_is_named(folder: Path, keep: float) -> None:
    file = folder / SHARD
    sound = file.read_bytes()
    file.write_bytes(sound[: int(keep * len(sound)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(ShardError, match=f"{SHARD} is damaged: expected {len(sound)} bytes"):
        list(read_shards(folder, split="val"))
    with pytest.raises(ShardError, match=f"{SHARD} cannot be read"):
        list(read_shards(folder, split="val", verify=False))
    with pytest.raises(ShardError, match=f"{SHARD} cannot be read"):
        read_rows(folder, SHARD, [0], columns_for(["text"]))


def test_undamaged_splits_of_a_damaged_set_can_be_read(folder: Path) -> None:
    (folder / SHARD).write_bytes(b"")
    assert len(list(read_shards(folder, split="train"))) == 5


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / SHARD).unlink()
    with pytest.raises(ShardError, match=f"{SHARD} is missing although the manifest lists it"):
        list(read_shards(folder))
    with pytest.raises(ShardError, match=f"{SHARD} cannot be read"):
        read_rows(folder, SHARD, [0], columns_for(["text"]))


def test_a_row_beyond_the_shard_is_refused(folder: Path) -> None:
    with pytest.raises(ShardError, match=f"{SHARD} cannot be read"):
        read_rows(folder, SHARD, [2], columns_for(["text"]))


def test_a_damaged_index_is_named(folder: Path) -> None:
    file = folder / "index.arrow"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ShardError, match=r"index\.arrow is damaged"):
        read_shards(folder).index("train")
    with pytest.raises(ShardError, match=r"index\.arrow cannot be read"):
        read_shards(folder, verify=False).index("train")


def test_a_folder_without_a_manifest_is_not_a_shard_set(folder: Path, tmp_path: Path) -> None:
    (folder / "manifest.json").unlink()
    for place in (folder, tmp_path / "nowhere"):
        with pytest.raises(ShardError, match=r"no manifest\.json here, so this is not a finished shard set"):
            read_shards(place)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format_version": 1}'])
def test_a_damaged_manifest_is_named(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ShardError, match=r"manifest\.json is damaged"):
        read_manifest(folder)


def test_another_format_version_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format_version": 3}))
    with pytest.raises(ShardError, match="format version 3, this DCLF reads 1 and 2: import"):
        read_shards(folder)


def test_verifying_one_shard(folder: Path) -> None:
    entry = read_manifest(folder).shard(SHARD)
    verify_shard(folder, entry)
    (folder / SHARD).write_bytes(b"other")
    with pytest.raises(ShardError, match="found 5 bytes"):
        verify_shard(folder, entry)
    with pytest.raises(ShardError, match="lists no shard other"):
        read_manifest(folder).shard("other.arrow")


def test_validation_reports_all_damage_at_once(folder: Path) -> None:
    (folder / SHARD).write_bytes(b"")
    (folder / "test-00000.arrow").unlink()
    problems = validate_shards(folder).problems
    assert len(problems) == 2
    assert f"{SHARD} is damaged" in problems[0]
    assert "test-00000.arrow is missing" in problems[1]
