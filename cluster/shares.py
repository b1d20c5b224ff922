"""Which worker reads which dialogues, and in which portions.

Every dialogue goes to exactly one worker. Ray Data's own splits either drop rows to become equal or are unequal
without saying so; a partition by rank loses nothing, and is the same every time it is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dclf.data.index import DialogueIndex
from dclf.data.manifest import Manifest, ShardEntry
from dclf.data.reader import ShardSet

PORTION_BYTES = 32 << 20
"""Features that one read task hands over, unless a single dialogue is larger."""


@dataclass(frozen=True)
class Portion:
    """What one read task reads: some consecutive rows of one shard.

    Attributes:
        shard: the shard's entry in the manifest.
        rows: record batches of the shard.
        bytes: size of their features in memory, about.
        first: whether it is the reader's first portion of that shard, where the checksum is verified.
    """

    shard: ShardEntry
    rows: tuple[int, ...]
    bytes: int
    first: bool


def share_of(lengths: Sequence[int], rank: int, size: int) -> range:
    """The dialogues of one worker: consecutive ones, so that few shards are read by two, about equal in utterances.

    Args:
        lengths: utterances of each dialogue of the split.
        rank: the worker, 0 .. size - 1.
        size: how many workers there are.

    Returns:
        Positions of the dialogues; empty where there are fewer dialogues than workers. The ranges of all workers
        cover every dialogue exactly once.
    """
    ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
    middles = ends - np.asarray(lengths, dtype=np.int64) / 2
    bounds = [float(ends[-1]) * part / size if len(ends) else 0.0 for part in (rank, rank + 1)]
    start, stop = (int(place) for place in np.searchsorted(middles, bounds))
    return range(start, stop)


def portions_of(
    manifest: Manifest, index: DialogueIndex, share: range, modalities: Sequence[str], limit: int = PORTION_BYTES
) -> list[Portion]:
    """Cut a worker's share into portions of at most ``limit`` bytes of features, in the share's order."""
    width = 4 * sum(manifest.info.widths[modality] for modality in modalities)
    portions: list[Portion] = []
    for shard, dialogues in _by_shard(index, share):
        entry = manifest.shard(shard)
        for group in _groups([(dialogue, int(index.lengths[dialogue]) * width) for dialogue in dialogues], limit):
            rows = tuple(int(index.rows[dialogue]) for dialogue, _ in group)
            first = not portions or portions[-1].shard != entry
            portions.append(Portion(entry, rows, sum(size for _, size in group), first))
    return portions


def _by_shard(index: DialogueIndex, share: range) -> Iterator[tuple[str, list[int]]]:
    start = share.start
    for place in share:
        if place + 1 == share.stop or index.shards[place + 1] != index.shards[place]:
            yield index.shards[place], list(range(start, place + 1))
            start = place + 1


def _groups(sized: Sequence[tuple[int, int]], limit: int) -> Iterator[list[tuple[int, int]]]:
    group: list[tuple[int, int]] = []
    used = 0
    for item in sized:
        if group and used + item[1] > limit:
            yield group
            group, used = [], 0
        group.append(item)
        used += item[1]
    if group:
        yield group


def shared_bytes(shards: ShardSet, modalities: Sequence[str], splits: Sequence[str]) -> int:
    """Bytes of the features of these splits."""
    indices = {split: shards.index(split) for split in splits}
    return sum(
        portion.bytes
        for index in indices.values()
        for portion in portions_of(shards.manifest, index, range(len(index.lengths)), modalities)
    )
