"""Rows of features as Arrow has them, on their way between processes and in the cache.

======  ============================================================
column  content
======  ============================================================
row     float32 [D]; empty where there is none
reason  why there is none; null where there is one
======  ============================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dclf.extraction.contract import Row, Unreadable, Vector

_NONE = np.zeros(0, dtype=np.float32)


def row_columns(rows: Sequence[Row]) -> dict[str, pa.Array]:
    """The two columns of some rows; a vector that is contiguous is copied once."""
    vectors = [_NONE if isinstance(row, Unreadable) else row for row in rows]
    offsets = np.cumsum([0, *map(len, vectors)], dtype=np.int32)
    reasons = [row.reason if isinstance(row, Unreadable) else None for row in rows]
    return {
        "row": pa.ListArray.from_arrays(offsets, np.concatenate([_NONE, *vectors])),
        "reason": pa.array(reasons, pa.string()),
    }


def row_at(batch: pa.RecordBatch | pa.Table, place: int) -> Row:
    """The row at a place; a vector is a read-only view of the batch's memory."""
    reason = batch["reason"][place].as_py()
    if reason is not None:
        return Unreadable(reason)
    vector: Vector = batch["row"][place].values.to_numpy(zero_copy_only=True)
    return vector
