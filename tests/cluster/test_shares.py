import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.shares import portions_of, share_of
from dclf.data.reader import ShardSet

lengths_of_dialogues = st.lists(st.integers(1, 110), max_size=60)


@given(lengths=lengths_of_dialogues, size=st.integers(1, 7))
def test_every_dialogue_has_exactly_one_worker(lengths: list[int], size: int) -> None:
    shares = [share_of(lengths, rank, size) for rank in range(size)]
    assert [dialogue for share in shares for dialogue in share] == list(range(len(lengths)))


@given(lengths=lengths_of_dialogues, size=st.integers(1, 7))
def test_shares_differ_by_less_than_two_dialogues_from_the_mean(lengths: list[int], size: int) -> None:
    for rank in range(size):
        utterances = sum(lengths[dialogue] for dialogue in share_of(lengths, rank, size))
        assert abs(utterances - sum(lengths) / size) <= max(lengths, default=0)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_portions_name_every_row_once_in_order(shards: ShardSet, size: int, split: str) -> None:
    index = shards.index(split)
    places = []
    for rank in range(size):
        for portion in portions_of(shards.manifest, index, share_of(index.lengths.tolist(), rank, size), ("text",)):
            places += [(portion.shard.file, row) for row in portion.rows]
    assert places == list(zip(index.shards, index.rows.tolist(), strict=True))


def test_portions_keep_to_their_limit_and_verify_each_shard_once(shards: ShardSet) -> None:
    index = shards.index("train")
    limit = 3000
    portions = portions_of(shards.manifest, index, range(len(index)), ("text", "visual"), limit)
    width = 4 * (shards.info.widths["text"] + shards.info.widths["visual"])
    assert sum(portion.bytes for portion in portions) == int(index.lengths.sum()) * width
    assert all(portion.bytes <= limit or len(portion.rows) == 1 for portion in portions)
    assert len(portions) > len(set(index.shards))
    assert [portion.shard.file for portion in portions if portion.first] == list(dict.fromkeys(index.shards))
