"""Whole numbers: what counts as one, and that nothing is cut, rounded or wrapped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclf.data import DataError, ShardError, generate, read_shards, write_shards
from dclf.data.importers.sources import hold_out
from dclf.data.reader import read_rows
from dclf.data.schema import columns_for
from dclf.data.whole_numbers import whole_number, whole_numbers
from tests.dclf.data.support import make_dialogues, make_info

SHARD = "train-00000.arrow"


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_whole_floats_and_integers_mean_the_same(numbers: list[int]) -> None:
    for given_numbers in (numbers, tuple(numbers), np.array(numbers, dtype=np.int64), [float(n) for n in numbers]):
        integers = whole_numbers(given_numbers, "label")
        assert integers.dtype == np.int32
        assert integers.tolist() == numbers


@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf"), True, None, "1", 2**31, -(2**31) - 1, 2**64, 1j])
@pytest.mark.parametrize("container", [list, tuple, np.array], ids=["list", "tuple", "array"])
def test_anything_else_is_refused(value: Any, container: Any) -> None:
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        whole_numbers(container([value]), "label")


def test_places_are_counted_from_0_and_not_all_named() -> None:
    with pytest.raises(ValueError, match=r"is 0\.5 at utterances 0, 1, 2, 3, 4 and 3 more$"):
        whole_numbers(np.full(8, 0.5), "label")
    with pytest.raises(ValueError, match=r"must be one row of whole numbers, have shape \[2, 1\]"):
        whole_numbers([[1], [2]], "label")


def test_counts_and_seeds_are_whole() -> None:
    assert whole_number(np.int64(3), "seed") == 3
    for value in (2.0, True, "2", None):
        with pytest.raises(ValueError, match=f"seed must be a whole number, is {value!r}"):
            whole_number(value, "seed")
    with pytest.raises(ValueError, match="dialogues must be a whole number"):
        generate("iemocap-small", 20.7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed must be a whole number"):
        generate("iemocap-small", 20, True)
    with pytest.raises(ValueError, match="val_dialogues must be a whole number"):
        hold_out(["a", "b", "c"], 1.5, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speaker_count": 2.5}, "speaker_count must be a whole number of 1 or more, is 2.5"),
        ({"speaker_count": True}, "speaker_count must be a whole number of 1 or more, is True"),
        ({"widths": {"text": 2.7}}, "the width of text must be a whole number of 1 or more, is 2.7"),
    ],
)
def test_dataset_facts_are_whole(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        write_shards([], tmp_path / "set", make_info(**changes))
    assert not (tmp_path / "set").exists()


def test_a_manifest_with_a_broken_count_is_damaged(tmp_path: Path) -> None:
    write_shards(make_dialogues(), tmp_path, make_info())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "speaker_count": 2.5}))
    with pytest.raises(ShardError, match=r"damaged .*speaker_count must be a whole number, is 2\.5"):
        read_shards(tmp_path)


@pytest.mark.parametrize("column", ["labels", "speakers"])
@pytest.mark.parametrize("file", [SHARD, "index.arrow"])
def test_files_of_another_program_that_hold_floats_are_refused(tmp_path: Path, file: str, column: str) -> None:
    write_shards(make_dialogues(), tmp_path, make_info())
    with pa.OSFile(str(tmp_path / file)) as source:
        table = pa.ipc.open_file(source).read_all()
    place = table.schema.names.index(column)
    floats = pa.array([[value + 0.5 for value in row] for row in table[column].to_pylist()], pa.list_(pa.float32()))
    table = table.set_column(place, pa.field(column, floats.type, nullable=False), floats)
    with pa.OSFile(str(tmp_path / file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    shards = read_shards(tmp_path, verify=False)
    words = rf"{file}.*column {column} must hold list<item: int32>, holds list<.*float>"
    with pytest.raises(ShardError, match=words):
        shards.index("train") if file == "index.arrow" else list(shards.select("train"))
    if file == SHARD:
        with pytest.raises(ShardError, match=words):
            read_rows(tmp_path, SHARD, [0], columns_for(["text"]))
