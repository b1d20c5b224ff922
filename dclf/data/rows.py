"""Dialogues to Arrow rows and back, without copying feature matrices where Arrow's layout allows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.schema import SENTIMENTS, chosen_modalities


def dialogue_to_batch(dialogue: Dialogue, info: DatasetInfo, schema: pa.Schema) -> pa.RecordBatch:
    """A record batch of one row."""
    columns = [
        pa.array([dialogue.dialogue_id], pa.string()),
        pa.array([dialogue.split], pa.string()),
        _list_of_one(_int32(dialogue.speakers)),
        _list_of_one(_int32(dialogue.labels)),
        _list_of_one(pa.array(list(dialogue.utterances), pa.string())),
    ]
    if info.sentiment_names:
        columns.append(_sentiments(dialogue.sentiments))
    columns += [
        _list_of_one(_matrix(dialogue.features[m], dialogue.present.get(m), info.widths[m])) for m in info.modalities
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def dialogues_from_table(
    table: pa.Table | pa.RecordBatch, info: DatasetInfo, modalities: Sequence[str] | None = None
) -> Iterator[Dialogue]:
    """The dialogues of a table read from shards; arrays are read-only views of Arrow's memory.

    Args:
        table: the columns ``dclf.data.schema.columns_for(modalities)``, in any order; sentiments where they are there.
        info: dataset facts of the shard set.
        modalities: which features to decode; all that the shards carry where None.

    Raises:
        MissingModalityError: the shards lack one of ``modalities``.
    """
    names = chosen_modalities(info, modalities)
    batches = [table] if isinstance(table, pa.RecordBatch) else table.to_batches()
    for batch in batches:
        columns = {name: batch.column(name) for name in batch.schema.names}
        for row in range(batch.num_rows):
            yield _dialogue(columns, row, names)


def _dialogue(columns: dict[str, Any], row: int, modalities: Sequence[str]) -> Dialogue:
    rows = {m: columns[m][row].values for m in modalities}
    return Dialogue(
        dialogue_id=columns["dialogue_id"][row].as_py(),
        split=columns["split"][row].as_py(),
        speakers=columns["speakers"][row].values.to_numpy(),
        labels=columns["labels"][row].values.to_numpy(),
        utterances=tuple(columns["utterances"][row].as_py()),
        features={m: _to_numpy(matrix) for m, matrix in rows.items()},
        sentiments=_read_sentiments(columns[SENTIMENTS][row]) if SENTIMENTS in columns else None,
        present={
            m: matrix.is_valid().to_numpy(zero_copy_only=False) for m, matrix in rows.items() if matrix.null_count
        },
    )


def _to_numpy(rows: pa.FixedSizeListArray) -> NDArray[np.float32]:
    """[n, D_m]; a row that is null becomes zeros, whatever lies below it, and only then is anything copied."""
    width = rows.type.list_size
    if not rows.null_count:
        matrix: NDArray[np.float32] = rows.flatten().to_numpy().reshape(len(rows), width)
        return matrix
    below = rows.values[rows.offset * width : (rows.offset + len(rows)) * width]
    matrix = below.to_numpy(zero_copy_only=False).reshape(len(rows), width).copy()
    matrix[rows.is_null().to_numpy(zero_copy_only=False)] = 0
    return matrix


def _read_sentiments(cell: Any) -> NDArray[np.int32] | None:
    return cell.values.to_numpy() if cell.is_valid else None


def _sentiments(values: Any) -> pa.Array:
    return pa.nulls(1, pa.list_(pa.int32())) if values is None else _list_of_one(_int32(values))


def _int32(values: Any) -> pa.Array:
    return pa.array(np.ascontiguousarray(values).astype(np.int32, casting="same_kind", copy=False))


def _matrix(features: Any, present: NDArray[np.bool_] | None, width: int) -> pa.Array:
    flat = np.ascontiguousarray(features, dtype=np.float32).reshape(-1)
    missing = None if present is None or present.all() else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), width, mask=missing)


def _list_of_one(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
