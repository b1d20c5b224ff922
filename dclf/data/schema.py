"""The Arrow schema of a shard, and the dataset facts stored in its metadata.

One row is one dialogue of n utterances: ``dialogue_id``, ``split``, ``speakers`` and ``labels`` (int32 [n]),
``utterances`` (n strings or none), where the dataset has them ``sentiments`` (int32 [n] or null), and per modality m
one float32 matrix [n, D_m] as a list of fixed-width rows, of which those that are missing are null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from dclf.data.dialogue import MODALITIES, DatasetInfo
from dclf.data.errors import MissingModalityError, ShardError
from dclf.data.whole_numbers import whole_number
from dclf.errors import require_names

FORMAT_VERSION = 2
"""Raised when a reader of the previous version could no longer read the shards: 2 has utterances without a label, rows
without features and sentiments."""
READABLE_VERSIONS = (1, 2)

PLAIN_COLUMNS = ("dialogue_id", "split", "speakers", "labels", "utterances")
SENTIMENTS = "sentiments"
_METADATA_KEY = b"dclf"


def shard_schema(info: DatasetInfo) -> pa.Schema:
    """Schema of every shard of a dataset."""
    fields = [
        pa.field("dialogue_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("speakers", pa.list_(pa.int32()), nullable=False),
        pa.field("labels", pa.list_(pa.int32()), nullable=False),
        pa.field("utterances", pa.list_(pa.string()), nullable=False),
    ]
    if info.sentiment_names:
        fields.append(pa.field(SENTIMENTS, pa.list_(pa.int32())))
    fields += [pa.field(m, pa.list_(pa.list_(pa.float32(), info.widths[m])), nullable=False) for m in info.modalities]
    return pa.schema(fields, metadata={_METADATA_KEY: json.dumps(info_to_dict(info), sort_keys=True)})


def index_schema() -> pa.Schema:
    """Schema of ``index.arrow``: everything but features and transcripts, and where the dialogue's row is."""
    return pa.schema(
        [
            pa.field("dialogue_id", pa.string(), nullable=False),
            pa.field("split", pa.string(), nullable=False),
            pa.field("speakers", pa.list_(pa.int32()), nullable=False),
            pa.field("labels", pa.list_(pa.int32()), nullable=False),
            pa.field("shard", pa.string(), nullable=False),
            pa.field("row", pa.int64(), nullable=False),
        ]
    )


def refuse_other_types(schema: pa.Schema, names: Sequence[str], expected: pa.Schema) -> None:
    """Refuse a file whose columns are not of the types we write: a float would be cut where it serves as an index.

    Args:
        schema: of the file.
        names: the columns that are read.
        expected: the schema of such a file.

    Raises:
        ShardError: names the column and both types.
    """
    for name in names:
        kind, actual = expected.field(name).type, schema.field(name).type
        if actual != kind:
            raise ShardError(f"column {name} must hold {kind}, holds {actual}; it was not written by DCLF")


def info_to_dict(info: DatasetInfo) -> dict[str, Any]:
    """Plain values, ready for JSON; the inverse of ``info_from_dict``."""
    return {
        "format_version": FORMAT_VERSION,
        "dataset": info.dataset,
        "class_names": list(info.class_names),
        "widths": {m: int(info.widths[m]) for m in info.modalities},
        "speaker_count": int(info.speaker_count),
        "provenance": dict(info.provenance),
        "sentiment_names": list(info.sentiment_names),
    }


def info_from_dict(values: Mapping[str, Any]) -> DatasetInfo:
    """The dataset facts of a manifest or of a shard's metadata; ShardError on an unknown format version."""
    version = values.get("format_version")
    if version not in READABLE_VERSIONS:
        raise ShardError(
            f"the shards have format version {version}, this DCLF reads {' and '.join(map(str, READABLE_VERSIONS))}: "
            "import or generate the data again, or install the DCLF that wrote them"
        )
    return DatasetInfo(
        dataset=values["dataset"],
        class_names=tuple(values["class_names"]),
        widths={m: whole_number(values["widths"][m], m) for m in MODALITIES if m in values["widths"]},
        speaker_count=whole_number(values["speaker_count"], "speaker_count"),
        provenance=values["provenance"],
        sentiment_names=tuple(values.get("sentiment_names", ())),
    )


def info_from_schema(schema: pa.Schema) -> DatasetInfo:
    """The dataset facts in a shard's own metadata; ShardError where the file is not a shard of ours."""
    metadata = schema.metadata or {}
    if _METADATA_KEY not in metadata:
        raise ShardError("the Arrow file carries no DCLF metadata: it is not a shard; import the data with dclf data")
    return info_from_dict(json.loads(metadata[_METADATA_KEY]))


def chosen_modalities(info: DatasetInfo, modalities: Sequence[str] | None) -> tuple[str, ...]:
    """The modalities to decode, in the order of ``MODALITIES``; MissingModalityError names those the shards lack."""
    require_names(modalities=modalities)
    if modalities is None:
        return info.modalities
    lacking = [m for m in modalities if m not in info.widths]
    if lacking:
        raise MissingModalityError(
            f"the shards of {info.dataset} carry {', '.join(info.modalities) or 'no modality'}, not "
            f"{', '.join(lacking)}: train on those present (data.modalities), or import the data again with the others"
        )
    return tuple(m for m in MODALITIES if m in modalities)


def columns_for(modalities: Sequence[str], info: DatasetInfo | None = None) -> tuple[str, ...]:
    """Columns that a ``Dialogue`` with these modalities is read from.

    Args:
        modalities: the features to read.
        info: the dataset facts, to read its sentiments too; without, they stay unread.
    """
    sentiments = (SENTIMENTS,) if info is not None and info.sentiment_names else ()
    return (*PLAIN_COLUMNS, *sentiments, *modalities)
