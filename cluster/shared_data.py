"""Dialogues that many trials read: read once, then kept in the object store of the cluster.

Ray Data reads them on all machines at once, and costs three seconds and three helper processes before the first block;
what one process reads in less than that is read by this one. Either way trials get the same blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ray

from cluster.shares import shared_bytes
from cluster.stream import RaySource, read_blocks, shard_source
from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.reader import ShardSet
from dclf.data.rows import dialogues_from_table
from dclf.training.source import Source

READ_HERE_BYTES = 256 << 20
"""Features that this process reads itself, at about 1 GiB/s from a local disk."""


class SharedDialogues:
    """A ``dclf.training.source.Source`` over blocks in the object store; processes of one machine share the memory.

    Args:
        info: of the shard set.
        modalities: the features in the blocks.
        blocks: split -> references to Arrow tables, in the shards' order.
    """

    def __init__(self, info: DatasetInfo, modalities: tuple[str, ...], blocks: dict[str, list[Any]]) -> None:
        self._info = info
        self._modalities = modalities
        self._blocks = blocks

    def dialogues(self, split: str) -> Iterator[Dialogue]:
        """The split in the shards' order; the features are read-only views of shared memory.

        Raises:
            KeyError: the split is not among those that were shared.
        """
        for block in self._blocks[split]:
            yield from dialogues_from_table(ray.get(block), self._info, self._modalities)


def shared_source(shards: ShardSet, modalities: tuple[str, ...], budget: int, splits: Sequence[str]) -> Source:
    """The splits for all trials of a study: kept in the object store where they fit, else streamed every epoch.

    Args:
        shards: the shard set.
        modalities: the features that trials may use.
        budget: bytes that may be kept.
        splits: what trials read.

    Raises:
        ShardError: a shard is missing or damaged; names the file.
    """
    size = shared_bytes(shards, modalities, splits)
    if size > budget:
        return RaySource(shards, modalities)
    read = _read_here if size <= READ_HERE_BYTES else read_blocks
    blocks = {split: read(shards, modalities, split) for split in splits}
    return SharedDialogues(shards.info, modalities, blocks)


def _read_here(shards: ShardSet, modalities: tuple[str, ...], split: str) -> list[Any]:
    """As ``read_blocks``, without Ray Data."""
    source = shard_source(shards, modalities, split)
    return [ray.put(block) for block in source.blocks()]
