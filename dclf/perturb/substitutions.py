"""Which utterance stands in for which (section 5.5): positions in a pool, kept as they were drawn.

D  dialogues        S  context utterances of all their targets: the sum of n (n - 1) / 2 over dialogues of n utterances
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dclf.whole_files import whole

FORMAT_VERSION = 1
_METADATA_KEY = b"dclf-substitutions"
_FACTS = ("kind", "seed", "draw", "pool")
_COLUMNS = {"dialogue_id": pa.string(), "length": pa.int64(), "positions": pa.large_list(pa.int32())}

OWN = -1
"""In place of a row of the pool: the utterance stays, having no emotion to replace it by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Substitutions:
    """One draw of substituted contexts for every target of some dialogues.

    Attributes:
        kind: ``eccs`` (same emotion), ``eics`` (a different one) or ``cut`` (the own context, up to the target).
        seed: of the suite.
        draw: number of the draw under this seed.
        pool: ``fingerprint`` of the dialogues that ``positions`` speaks of.
        dialogue_ids: D ids of the targets' dialogues.
        lengths: int64 [D], their utterances.
        positions: int32 [S], rows of the pool: dialogue after dialogue, in it target after target (the first has no
            context), for each target those that stand for u_1 .. u_{i-1} in their order; ``OWN`` (-1) for those that
            stay.
    """

    kind: str
    seed: int
    draw: int
    pool: str
    dialogue_ids: tuple[str, ...]
    lengths: NDArray[np.int64]
    positions: NDArray[np.int32]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """int64 [D], each dialogue's first entry of ``positions``."""
        return np.cumsum(_pairs(self.lengths)) - _pairs(self.lengths)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Place of each dialogue."""
        return {name: number for number, name in enumerate(self.dialogue_ids)}

    def context(self, dialogue_id: str, position: int) -> NDArray[np.int32]:
        """Pool rows [position] that stand for the utterances before one target, which is counted from 0.

        Raises:
            KeyError: these substitutions have no such target.
        """
        number = self.numbers.get(dialogue_id)
        if number is None or not 0 <= position < self.lengths[number]:
            raise KeyError(f"there are no substitutions for utterance {position} of dialogue {dialogue_id!r}")
        start = self.starts[number] + position * (position - 1) // 2
        return self.positions[start : start + position]

    def to_table(self) -> pa.Table:
        """One row per dialogue: ``dialogue_id``, ``length`` and ``positions``; the rest is schema metadata."""
        bounds = pa.array(np.append(self.starts, len(self.positions)), pa.int64())
        facts = {"format_version": FORMAT_VERSION, **{name: getattr(self, name) for name in _FACTS}}
        return pa.table(
            {
                "dialogue_id": pa.array(self.dialogue_ids, pa.string()),
                "length": pa.array(self.lengths, pa.int64()),
                "positions": pa.LargeListArray.from_arrays(bounds, pa.array(self.positions, pa.int32())),
            },
            metadata={_METADATA_KEY: json.dumps(facts, sort_keys=True)},
        )

    @classmethod
    def from_table(cls, table: pa.Table) -> Substitutions:
        """The inverse of ``to_table``.

        Raises:
            ValueError: the table does not hold substitutions, holds damaged ones or those of another format version.
        """
        facts = _facts(table)
        for column, column_type in _COLUMNS.items():
            if table.column_names.count(column) != 1:
                raise ValueError(
                    f"substitutions must have the columns {', '.join(_COLUMNS)}, have {', '.join(table.column_names)}; "
                    "draw them again"
                )
            if (actual := table.schema.field(column).type) != column_type:
                raise ValueError(f"{column} must hold {column_type}, holds {actual}; draw the substitutions again")
        table = table.combine_chunks()
        loaded = cls(
            **{name: facts[name] for name in _FACTS},
            dialogue_ids=tuple(table["dialogue_id"].to_pylist()),
            lengths=table["length"].to_numpy().astype(np.int64),
            positions=pc.list_flatten(table["positions"]).to_numpy().astype(np.int32),
        )
        counts = pc.list_value_length(table["positions"]).to_numpy()
        if not np.array_equal(counts, _pairs(loaded.lengths)):
            raise ValueError(
                "substitutions must hold n (n - 1) / 2 positions for n utterances, do not; draw them again"
            )
        return loaded


def write_substitutions(substitutions: Substitutions, path: str | os.PathLike[str]) -> None:
    """Write one Arrow IPC file; it appears whole or not at all."""
    table = substitutions.to_table()
    with (
        whole(Path(path)) as unfinished,
        pa.OSFile(str(unfinished), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)


def read_substitutions(path: str | os.PathLike[str]) -> Substitutions:
    """Read what ``write_substitutions`` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not hold substitutions, or is damaged.
    """
    try:
        with pa.OSFile(os.fspath(path), "rb") as source:
            table = pa.ipc.open_file(source).read_all()
        return Substitutions.from_table(table)
    except (pa.ArrowInvalid, ValueError) as error:
        raise ValueError(f"{os.fspath(path)}: cannot be read as substitutions ({error})") from error


def _pairs(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Context utterances of all targets of dialogues of these lengths."""
    return lengths * (lengths - 1) // 2


def _facts(table: pa.Table) -> dict[str, Any]:
    metadata = table.schema.metadata or {}
    if _METADATA_KEY not in metadata:
        raise ValueError("the Arrow table carries no substitutions; write them with dclf.perturb.write_substitutions")
    facts: dict[str, Any] = json.loads(metadata[_METADATA_KEY])
    version = facts.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"the substitutions have format version {version}, this DCLF reads {FORMAT_VERSION}: draw them again"
        )
    if lacking := [name for name in _FACTS if name not in facts]:
        raise ValueError(f"substitutions must tell their {', '.join(lacking)}, do not; draw them again")
    return facts
