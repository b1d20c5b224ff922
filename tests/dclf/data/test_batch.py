"""Dialogues laid end to end as tensors."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dclf.data import read_shards, write_shards
from dclf.data.batch import collate
from tests.dclf.data.support import make_dialogue, make_dialogues, make_info


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shards(make_dialogues(), tmp_path / "set", make_info())
    return tmp_path / "set"


def test_utterances_of_all_dialogues_follow_each_other() -> None:
    dialogues = [make_dialogues()[place] for place in (3, 0, 4)]
    batch = collate(dialogues, ("text", "visual"))
    assert batch.layout.lengths == tuple(len(d) for d in dialogues)
    assert batch.dialogue_ids == ("d3", "d0", "d4")
    assert list(batch.features) == ["text", "visual"]
    assert batch.features["text"].dtype == torch.float32
    assert batch.speakers.dtype == batch.labels.dtype == batch.positions.dtype == torch.int64
    np.testing.assert_array_equal(batch.features["text"], np.concatenate([d.features["text"] for d in dialogues]))
    np.testing.assert_array_equal(batch.labels, np.concatenate([d.labels for d in dialogues]))
    np.testing.assert_array_equal(batch.speakers, np.concatenate([d.speakers for d in dialogues]))
    assert (batch.positions == -1).all()


def test_positions_point_into_the_training_index_and_nowhere_for_others(folder: Path) -> None:
    shards = read_shards(folder)
    index = shards.index("train")
    dialogues = list(shards)
    batch = collate([dialogues[place] for place in (4, 6, 1)], ("audio",), index)
    mask = batch.positions >= 0
    assert mask.tolist() == [True] * 5 + [False] * 1 + [True] * 2
    np.testing.assert_array_equal(index.labels[batch.positions[mask]], batch.labels[mask])
    np.testing.assert_array_equal(index.speakers[batch.positions[mask]], batch.speakers[mask])


def test_a_batch_owns_its_memory(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns where a tensor shares a read-only array
        batch = collate([next(iter(read_shards(folder)))], ("text",))
    batch.features["text"].zero_()
    assert next(iter(read_shards(folder))).features["text"].any()


def test_moving_a_batch_moves_all_of_it() -> None:
    batch = collate(make_dialogues(), ("text",))
    moved = batch.to("meta")
    tensors = (*moved.features.values(), moved.speakers, moved.labels, moved.positions, moved.layout.length_tensor)
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.dialogue_ids == batch.dialogue_ids


def test_masks_come_along_where_a_row_is_missing() -> None:
    first, second = make_dialogue(0, length=2), make_dialogue(1, length=3)
    partial = replace(second, present={"text": np.array([True, False, True]), "audio": np.ones(3, np.bool_)})
    batch = collate([first, partial], ("text", "audio", "visual"))
    assert list(batch.present) == ["text"]
    assert batch.present["text"].tolist() == [True, True, True, False, True]
    assert collate([first, partial], ("audio",)).present == {}
    assert batch.to("meta").present["text"].device.type == "meta"


def test_the_labelled_rows_are_known() -> None:
    first, second = make_dialogue(0, labels=np.array([0, -1, -1, 2])), make_dialogue(1, length=2)
    labelled = collate([first, second], ("text",)).labelled
    assert labelled is not None
    assert labelled.tolist() == [0, 3, 4, 5]
    assert collate([second], ("text",)).labelled is None


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one dialogue"):
        collate([], ("text",))
