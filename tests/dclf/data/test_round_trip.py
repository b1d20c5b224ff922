"""What is written is what is read: whole sets, selections, single rows, on disk and on other stores."""

from __future__ import annotations

import pickle
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.data import SPLITS, DatasetInfo, Dialogue, MissingModalityError, read_shards, validate_shards, write_shards
from dclf.data.manifest import read_manifest
from dclf.data.reader import read_rows
from dclf.data.rows import dialogues_from_table
from dclf.data.schema import columns_for
from tests.dclf.data.support import assert_same, datasets, make_dialogue, make_dialogues, make_info


@settings(max_examples=40)
@given(data=datasets(), max_bytes=st.sampled_from([1, 3000, 1 << 20]))
def test_reading_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: tuple[DatasetInfo, list[Dialogue]], max_bytes: int
) -> None:
    info, dialogues = data
    folder = tmp_path_factory.mktemp("shards") / "set"
    manifest = write_shards(dialogues, folder, info, max_shard_bytes=max_bytes)
    shards = read_shards(folder)
    assert shards.info == info
    assert read_manifest(folder) == manifest
    expected = [d for split in SPLITS for d in dialogues if d.split == split]
    assert len(shards) == len(expected)
    for dialogue, original in zip(shards, expected, strict=True):
        assert_same(dialogue, original)


@settings(max_examples=20)
@given(data=datasets())
def test_the_index_tells_what_the_shards_hold(
    tmp_path_factory: pytest.TempPathFactory, data: tuple[DatasetInfo, list[Dialogue]]
) -> None:
    info, dialogues = data
    folder = tmp_path_factory.mktemp("shards") / "set"
    write_shards(dialogues, folder, info, max_shard_bytes=2000)
    shards = read_shards(folder)
    for split in SPLITS:
        index = shards.index(split)
        selection = list(shards.select(split))
        assert index.dialogue_ids == tuple(d.dialogue_id for d in selection)
        for place, dialogue in enumerate(selection):
            rows = slice(index.offsets[place], index.offsets[place] + index.lengths[place])
            assert index.position(dialogue.dialogue_id) == place
            np.testing.assert_array_equal(index.labels[rows], dialogue.labels)
            np.testing.assert_array_equal(index.speakers[rows], dialogue.speakers)
            table = read_rows(folder, index.shards[place], [index.rows[place]], columns_for(info.modalities, info))
            (read,) = dialogues_from_table(table, info, info.modalities)
            assert_same(read, dialogue)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shards(make_dialogues(), tmp_path / "set", make_info(), max_shard_bytes=1500)
    return tmp_path / "set"


def test_a_selection_decodes_only_its_columns_and_split(folder: Path) -> None:
    selection = read_shards(folder).select("test", ["visual", "text"])
    assert selection.modalities == ("text", "visual")
    assert len(selection) == 3
    expected = [d for d in make_dialogues() if d.split == "test"]
    for dialogue, original in zip(selection, expected, strict=True):
        assert_same(dialogue, original, ("text", "visual"))
    table = read_rows(folder, "test-00000.arrow", [0], columns_for(["audio"]))
    assert table.schema.names == ["dialogue_id", "split", "speakers", "labels", "utterances", "audio"]


def test_a_selection_keeps_what_it_is_not_asked_to_change(folder: Path) -> None:
    selection = read_shards(folder, split="val", modalities=["audio"]).select()
    assert (selection.split, selection.modalities, len(selection)) == ("val", ("audio",), 2)
    assert selection.splits == {"train": 5, "val": 2, "test": 3}
    assert selection.index().dialogue_ids == ("d5", "d6")
    assert len(read_shards(folder).index()) == 10


def test_iterating_twice_gives_the_same(folder: Path) -> None:
    shards = read_shards(folder)
    assert [d.dialogue_id for d in shards] == [d.dialogue_id for d in shards]


def test_a_shard_set_travels_between_processes(folder: Path) -> None:
    moved = pickle.loads(pickle.dumps(read_shards(folder, split="train", modalities=["text"])))
    dialogues = [dialogue for dialogue in make_dialogues() if dialogue.split == "train"]
    for dialogue, expected in zip(moved, dialogues, strict=True):
        assert_same(dialogue, expected, ("text",))


def test_local_features_are_views_of_the_mapped_file(folder: Path) -> None:
    dialogue = next(iter(read_shards(folder)))
    assert not dialogue.features["text"].flags.owndata
    assert not dialogue.features["text"].flags.writeable


def test_rows_come_in_the_order_asked_for_and_from_joined_blocks(tmp_path: Path) -> None:
    dialogues = [make_dialogue(n, length=1 + n) for n in range(4)]
    info = make_info()
    write_shards(dialogues, tmp_path / "set", info)
    table = read_rows(tmp_path / "set", "train-00000.arrow", [2, 0, 3], columns_for(info.modalities))
    for joined in (table, table.combine_chunks()):
        selection = list(dialogues_from_table(joined, info, ["audio"]))
        for dialogue, number in zip(selection, (2, 0, 3), strict=True):
            assert_same(dialogue, dialogues[number], ("audio",))
    (last,) = dialogues_from_table(table.combine_chunks().slice(2, 1), info)
    assert_same(last, dialogues[3])


def test_a_full_shard_is_closed_and_the_next_begun(folder: Path) -> None:
    manifest = read_manifest(folder)
    files = [shard.file for shard in manifest.shards if shard.split == "train"]
    assert len(files) > 1
    assert files == [f"train-{number:05d}.arrow" for number in range(len(files))]
    assert sum(shard.utterances for shard in manifest.shards) == sum(len(d) for d in make_dialogues())
    for shard in manifest.shards:
        assert (folder / shard.file).stat().st_size == shard.bytes


def test_a_shard_describes_itself(folder: Path) -> None:
    with pa.ipc.open_file(folder / "val-00000.arrow") as reader:
        assert b"toy" in reader.schema.metadata[b"dclf"]
        assert str(reader.schema.field("text").type) == "list<item: fixed_size_list<item: float>[5]>"


def test_the_same_data_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = write_shards(make_dialogues(), tmp_path / "again", make_info(), max_shard_bytes=1500)
    assert again.sha256 == read_manifest(folder).sha256
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_the_hash_of_the_whole_changes_with_a_single_number(folder: Path, tmp_path: Path) -> None:
    dialogues = make_dialogues()
    dialogues[0].features["text"][0, 0] += 1
    changed = write_shards(dialogues, tmp_path / "changed", make_info(), max_shard_bytes=1500)
    assert changed.sha256 != read_manifest(folder).sha256


def test_other_float_types_are_stored_as_float32(tmp_path: Path) -> None:
    wide = make_dialogue(features={m: np.full((4, w), 0.1) for m, w in make_info().widths.items()})
    write_shards([wide], tmp_path / "set", make_info())
    (dialogue,) = read_shards(tmp_path / "set")
    assert dialogue.features["text"].dtype == np.float32
    assert dialogue.features["text"][0, 0] == np.float32(0.1)


def test_any_store_that_fsspec_knows_holds_shards(folder: Path) -> None:
    uri = f"memory://{uuid.uuid4().hex}/set"
    manifest = write_shards(make_dialogues(), uri, make_info(), max_shard_bytes=1500)
    assert manifest.sha256 == read_manifest(folder).sha256
    for dialogue, original in zip(read_shards(uri), read_shards(folder), strict=True):
        assert_same(dialogue, original)
    index = read_shards(uri).index("test")
    table = read_rows(uri, index.shards[0], [index.rows[0]], columns_for(["text"]))
    assert next(dialogues_from_table(table, make_info(), ["text"])).dialogue_id == index.dialogue_ids[0]
    assert validate_shards(uri).problems == ()


def test_a_file_uri_is_the_local_folder(folder: Path) -> None:
    assert [d.dialogue_id for d in read_shards(folder.as_uri())] == [d.dialogue_id for d in read_shards(folder)]


def test_a_dialogue_without_sentiments_among_others_stays_without(tmp_path: Path) -> None:
    info = make_info(sentiment_names=("negative", "positive"))
    dialogues = [make_dialogue(0), make_dialogue(1, sentiments=np.array([1, -1, 0, 0], np.int32))]
    write_shards(dialogues, tmp_path / "set", info)
    for dialogue, original in zip(read_shards(tmp_path / "set"), dialogues, strict=True):
        assert_same(dialogue, original)


def test_what_lies_below_a_missing_row_is_read_as_zeros() -> None:
    info = make_info(widths={"text": 2})
    rows = pa.array([[[1.0, 2.0], None, [3.0, 4.0]]], pa.list_(pa.list_(pa.float32(), 2)))
    below = pa.array(np.array([1, 2, np.nan, 7, 3, 4], np.float32))
    masked = pa.FixedSizeListArray.from_arrays(below, 2, mask=pa.array([False, True, False]))
    plain = {"dialogue_id": ["d"], "split": ["train"], "speakers": [[0, 0, 0]], "labels": [[0, 0, 0]]}
    for text in (rows, pa.ListArray.from_arrays(pa.array([0, 3], pa.int32()), masked)):
        table = pa.table({**plain, "utterances": pa.array([[]], pa.list_(pa.string())), "text": text})
        (dialogue,) = dialogues_from_table(table, info)
        np.testing.assert_array_equal(dialogue.features["text"], [[1, 2], [0, 0], [3, 4]])
        np.testing.assert_array_equal(dialogue.present["text"], [True, False, True])


def test_masks_that_hide_nothing_change_no_byte(folder: Path, tmp_path: Path) -> None:
    full = [replace(d, present={"text": np.ones(len(d), np.bool_)}) for d in make_dialogues()]
    assert (
        write_shards(full, tmp_path / "full", make_info(), max_shard_bytes=1500).sha256 == read_manifest(folder).sha256
    )
    assert all(not dialogue.present for dialogue in read_shards(folder))


def test_narrowing_a_dialogue_keeps_the_masks_of_what_stays() -> None:
    masks = {m: np.ones(4, np.bool_) for m in ("text", "audio")}
    narrow = make_dialogue(present=masks).only(("audio", "visual"))
    assert list(narrow.features) == ["audio", "visual"]
    assert narrow.present == {"audio": masks["audio"]}


def test_a_uri_nobody_serves_is_refused_with_what_would_do() -> None:
    with pytest.raises(ValueError, match=r"nosuch://x: cannot open this kind of URI.*use a local folder, s3://"):
        read_shards("nosuch://x")


def test_a_modality_the_shards_lack_is_named_with_those_present(tmp_path: Path) -> None:
    info = make_info(widths={"text": 5})
    text_only = make_dialogue(features={"text": np.ones((4, 5), np.float32)})
    write_shards([text_only], tmp_path / "set", info)
    with pytest.raises(MissingModalityError, match="carry text, not audio, visual"):
        read_shards(tmp_path / "set", modalities=["audio", "text", "visual"])
    with pytest.raises(MissingModalityError, match="carry text, not audio"):
        read_shards(tmp_path / "set").select(modalities=["audio"])


def test_an_unknown_split_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="split must be one of train, val, test, is 'dev'"):
        read_shards(folder, split="dev")


def test_an_id_the_index_lacks_is_named(folder: Path) -> None:
    index = read_shards(folder).index("val")
    assert "d5" in index
    assert "d0" not in index
    with pytest.raises(KeyError, match="no dialogue 'd0'"):
        index.position("d0")
