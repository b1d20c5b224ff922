import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cluster.datasource import ShardDatasource
from cluster.resources import ClusterResources
from cluster.shared_data import shared_source
from cluster.shares import portions_of
from cluster.stream import RaySource
from dclf.data import ShardError, read_shards, write_shards
from dclf.data.dialogue import Dialogue
from dclf.data.reader import ShardSet
from dclf.data.schema import columns_for
from dclf.training.batches import dialogue_bytes
from tests.dclf.sparse import made_sparse

# Ray warns of deprecations of its own.
pytestmark = pytest.mark.ray
MODALITIES = ("text", "audio", "visual")
either_way = pytest.mark.parametrize("kept_bytes", [0, 1 << 30], ids=["streamed", "read by the worker"])


def same(left: Dialogue, right: Dialogue) -> bool:
    return (
        left.dialogue_id == right.dialogue_id
        and left.split == right.split
        and left.utterances == right.utterances
        and np.array_equal(left.speakers, right.speakers)
        and np.array_equal(left.labels, right.labels)
        and set(left.features) == set(right.features)
        and all(np.array_equal(left.features[m], right.features[m]) for m in left.features)
        and set(left.present) == set(right.present)
        and all(np.array_equal(left.present[m], right.present[m]) for m in left.present)
    )


@either_way
@pytest.mark.parametrize("size", [1, 2, 5])
def test_workers_together_get_what_the_shards_hold_in_order(
    local_ray: ClusterResources, shards: ShardSet, size: int, kept_bytes: int
) -> None:
    streamed = [
        dialogue
        for rank in range(size)
        for dialogue in RaySource(shards, MODALITIES, rank=rank, size=size, kept_bytes=kept_bytes).dialogues("train")
    ]
    direct = list(shards.select(split="train"))
    assert len(streamed) == len(direct) > size
    assert all(same(left, right) for left, right in zip(streamed, direct, strict=True))


def test_a_share_that_the_worker_keeps_is_read_by_the_worker_and_a_larger_one_streamed(
    local_ray: ClusterResources, shards: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = list(RaySource(shards, ("text",), rank=1, size=2).dialogues("train"))
    size = sum(dialogue_bytes(dialogue) for dialogue in share)
    # Ray's processes are in another folder, where this path leads nowhere.
    monkeypatch.chdir(Path(shards.path).parent)
    here = read_shards(Path(shards.path).name)
    dialogues = list(RaySource(here, ("text",), rank=1, size=2, kept_bytes=size).dialogues("train"))
    assert all(same(left, right) for left, right in zip(dialogues, share, strict=True))
    with pytest.raises(ShardError, match="is missing"):
        list(RaySource(here, ("text",), rank=1, size=2, kept_bytes=size - 1).dialogues("train"))


def test_masks_and_missing_labels_are_streamed(local_ray: ClusterResources, shards: ShardSet, tmp_path: Path) -> None:
    write_shards(made_sparse(shards), tmp_path / "sparse", replace(shards.info, sentiment_names=("bad", "good")))
    sparse = read_shards(tmp_path / "sparse")
    streamed, direct = list(RaySource(sparse, MODALITIES).dialogues("train")), list(sparse.select(split="train"))
    assert all(same(left, right) for left, right in zip(streamed, direct, strict=True))
    assert any(dialogue.present for dialogue in streamed)
    assert any((dialogue.labels < 0).any() for dialogue in streamed)


@either_way
def test_a_second_pass_gives_the_same_and_reads_no_index_again(
    local_ray: ClusterResources, shards: ShardSet, tmp_path: Path, kept_bytes: int
) -> None:
    copy = read_shards(shutil.copytree(shards.path, tmp_path / "copy"))
    source = RaySource(copy, ("audio",), rank=1, size=2, kept_bytes=kept_bytes)
    first = list(source.dialogues("val"))
    (tmp_path / "copy" / copy.manifest.index.file).unlink()
    second = list(source.dialogues("val"))
    assert first
    assert all(same(left, right) for left, right in zip(first, second, strict=True))
    assert set(first[0].features) == {"audio"}


def test_more_workers_than_dialogues_leave_some_without(local_ray: ClusterResources, shards: ShardSet) -> None:
    count = len(shards.index("val"))
    sources = [RaySource(shards, ("text",), rank=rank, size=3 * count) for rank in range(3)]
    assert min(len(list(source.dialogues("val"))) for source in sources) == 0


@either_way
def test_what_is_kept_lets_go_of_the_block_it_came_from(
    local_ray: ClusterResources, shards: ShardSet, kept_bytes: int
) -> None:
    dialogue = next(RaySource(shards, ("text",), kept_bytes=kept_bytes).dialogues("train"))
    assert all(array.base is None for array in (dialogue.features["text"], dialogue.labels, dialogue.speakers))


@pytest.fixture
def damaged(shards: ShardSet, tmp_path: Path) -> tuple[ShardSet, str]:
    """A copy, and which of its files with training dialogues has a wrong bit."""
    copy = tmp_path / "damaged"
    shutil.copytree(shards.path, copy)
    victim = copy / shards.index("train").shards[-1]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    return read_shards(copy), victim.name


@either_way
def test_a_damaged_shard_is_named(local_ray: ClusterResources, damaged: tuple[ShardSet, str], kept_bytes: int) -> None:
    copy, victim = damaged
    with pytest.raises(ShardError, match=f"{victim} is damaged") as error:
        list(RaySource(copy, ("text",), kept_bytes=kept_bytes).dialogues("train"))
    assert str(error.value).endswith("or copy them anew"), "Ray Data's advice on its own settings is of no use here"


def test_a_damaged_shard_is_named_where_it_is_shared(
    local_ray: ClusterResources, damaged: tuple[ShardSet, str]
) -> None:
    copy, victim = damaged
    with pytest.raises(ShardError, match=f"{victim} is damaged"):
        shared_source(copy, ("text",), 1 << 30, ("train", "val"))


@either_way
def test_a_missing_shard_is_named(
    local_ray: ClusterResources, shards: ShardSet, tmp_path: Path, kept_bytes: int
) -> None:
    copy = tmp_path / "short"
    shutil.copytree(shards.path, copy)
    victim = copy / shards.index("test").shards[0]
    victim.unlink()
    with pytest.raises(ShardError, match=f"{victim.name} is missing"):
        list(RaySource(read_shards(copy), ("text",), kept_bytes=kept_bytes).dialogues("test"))


def test_read_tasks_hand_over_one_block_each_with_the_columns_asked_for(shards: ShardSet) -> None:
    index = shards.index("train")
    portions = portions_of(shards.manifest, index, range(len(index)), ("text",), 5000)
    tasks = ShardDatasource(shards.path, portions, columns_for(("text",)), verify=True).get_read_tasks(1)
    blocks = [list(task()) for task in tasks]
    assert [len(block) for block in blocks] == [1] * len(portions)
    assert [block[0].num_rows for block in blocks] == [task.metadata.num_rows for task in tasks]
    assert set(blocks[0][0].column_names) == set(columns_for(("text",)))
