"""The source of a process that reads the shards itself: notebooks, benchmarks, single-process trials."""

from __future__ import annotations

from collections.abc import Iterator

from dclf.data.dialogue import Dialogue
from dclf.data.reader import ShardSet


class LocalSource:
    """All dialogues of a shard set, read directly.

    Args:
        shards: the shard set.
        modalities: the features to decode.
    """

    def __init__(self, shards: ShardSet, modalities: tuple[str, ...]) -> None:
        self._shards = shards.select(modalities=tuple(m for m in shards.info.modalities if m in modalities))

    def dialogues(self, split: str) -> Iterator[Dialogue]:
        """The split in the shards' order."""
        return iter(self._shards.select(split=split))
