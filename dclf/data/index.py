"""Labels, speakers and places of the dialogues of one split, read without touching features.

D  dialogues        T  utterances of all of them
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dclf.data.errors import ShardError, unreadable
from dclf.data.manifest import INDEX, REMEDY
from dclf.data.schema import index_schema, refuse_other_types
from dclf.data.storage import Folder


@dataclass(frozen=True, kw_only=True, eq=False)
class DialogueIndex:
    """The dialogues of a split in the order of their shards, utterances laid end to end.

    Attributes:
        dialogue_ids: D ids.
        lengths: int64 [D], utterances per dialogue.
        offsets: int64 [D], first row of each dialogue in the flat arrays.
        labels: int32 [T].
        speakers: int32 [T].
        shards: D names, the shard file of each dialogue.
        rows: int64 [D], the record batch of each dialogue within its shard.
    """

    dialogue_ids: tuple[str, ...]
    lengths: NDArray[np.int64]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int32]
    speakers: NDArray[np.int32]
    shards: tuple[str, ...]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.dialogue_ids)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {dialogue_id: position for position, dialogue_id in enumerate(self.dialogue_ids)}

    def position(self, dialogue_id: str) -> int:
        """Place of a dialogue, 0 .. D - 1; KeyError where the index does not hold it."""
        if dialogue_id not in self._positions:
            raise KeyError(f"the index holds no dialogue {dialogue_id!r}; it holds {len(self)} others")
        return self._positions[dialogue_id]

    def __contains__(self, dialogue_id: object) -> bool:
        return dialogue_id in self._positions


def read_index(folder: Folder, split: str | None = None) -> DialogueIndex:
    """The index of one split, or of the whole set; ShardError where the sidecar cannot be read."""
    try:
        table = pa.ipc.open_file(folder.open_source(INDEX, whole=True)).read_all()
        refuse_other_types(table.schema, index_schema().names, index_schema())
    except (KeyError, ShardError) as error:
        raise ShardError(f"{folder.address}/{INDEX}: {error.args[0]}; {REMEDY}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(error, f"{folder.address}/{INDEX}", REMEDY, remote=not folder.is_local) from error
    if split is not None:
        table = table.filter(pc.equal(table["split"], split))
    return _index_of(table.combine_chunks())


def _index_of(table: pa.Table) -> DialogueIndex:
    lengths = pc.list_value_length(table["labels"]).to_numpy().astype(np.int64)
    return DialogueIndex(
        dialogue_ids=tuple(table["dialogue_id"].to_pylist()),
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        labels=_flat(table["labels"]),
        speakers=_flat(table["speakers"]),
        shards=tuple(table["shard"].to_pylist()),
        rows=table["row"].to_numpy().astype(np.int64),
    )


def _flat(column: Any) -> NDArray[np.int32]:
    values: NDArray[np.int32] = pc.list_flatten(column).to_numpy().astype(np.int32)
    return values
