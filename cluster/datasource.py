"""Our Arrow IPC shards as a Ray Data source; Ray Data has no reader for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from cluster.failures import portable
from cluster.shares import Portion
from dclf.data.manifest import verify_shard
from dclf.data.reader import read_rows


class ReadError(Exception):
    """What went wrong in a read task, as its only argument: Ray Data adds advice of its own to an error's message."""


class ShardDatasource(Datasource):
    """Portions of a shard set, one read task and one block each, in the order given.

    One block per task matters: a task that has more to say is paused while nobody listens and keeps its CPU, and then
    two workers that wait for each other can wait for ever.

    Args:
        path: the shard set's folder or URI, as every node of the cluster sees it.
        portions: what to read.
        columns: as ``dclf.data.schema.columns_for`` gives them.
        verify: check a shard's SHA-256 in its first portion.
    """

    def __init__(self, path: str, portions: Sequence[Portion], columns: Sequence[str], *, verify: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._path = path
        self._portions = tuple(portions)
        self._columns = tuple(columns)
        self._verify = verify

    @property
    def tasks(self) -> int:
        """How many read tasks there are."""
        return len(self._portions)

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all features."""
        return sum(portion.bytes for portion in self._portions)

    def blocks(self) -> Iterator[pa.Table]:
        """The blocks one after the other, read by this process, without Ray Data.

        Raises:
            ShardError: a shard is missing or damaged; names the file.
        """
        for portion in self._portions:
            yield self._reader(portion)()

    def get_read_tasks(
        self,
        parallelism: int,  # noqa: ARG002 - the portions settle it
        per_task_row_limit: int | None = None,
        data_context: Any = None,  # noqa: ARG002 - part of Ray's interface
    ) -> list[ReadTask]:
        """One task per portion."""
        return [
            ReadTask(partial(_task, self._reader(portion)), _metadata(portion), per_task_row_limit=per_task_row_limit)
            for portion in self._portions
        ]

    def _reader(self, portion: Portion) -> Callable[[], pa.Table]:
        return partial(_read, self._path, portion, self._columns, verify=self._verify and portion.first)


def _read(path: str, portion: Portion, columns: Sequence[str], *, verify: bool) -> pa.Table:
    if verify:
        verify_shard(path, portion.shard)
    return read_rows(path, portion.shard.file, portion.rows, columns)


def _task(read: Callable[[], pa.Table]) -> Iterator[pa.Table]:
    try:
        yield read()
    except Exception as error:
        raise ReadError(portable(error)) from error


def _metadata(portion: Portion) -> BlockMetadata:
    return BlockMetadata(
        num_rows=len(portion.rows), size_bytes=portion.bytes, exec_stats=None, input_files=(portion.shard.file,)
    )
