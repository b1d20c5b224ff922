"""Dialogues on disk and in memory: Arrow shards, importers, a generator, validation and the feature card."""

from dclf.data.checks import validate_dialogue
from dclf.data.dialogue import MODALITIES, SPLITS, DatasetInfo, Dialogue
from dclf.data.errors import (
    DataError,
    MissingModalityError,
    OutputFolderError,
    ShardError,
    SourceError,
    UnsafePickleError,
)
from dclf.data.index import DialogueIndex
from dclf.data.manifest import Manifest, ShardEntry, read_manifest, verify_shard
from dclf.data.reader import ShardSet, read_rows, read_shards
from dclf.data.rows import dialogues_from_table
from dclf.data.schema import columns_for
from dclf.data.writer import write_shards

__all__ = [
    "MODALITIES",
    "SPLITS",
    "DataError",
    "DatasetInfo",
    "Dialogue",
    "DialogueIndex",
    "Manifest",
    "MissingModalityError",
    "OutputFolderError",
    "ShardEntry",
    "ShardError",
    "ShardSet",
    "SourceError",
    "UnsafePickleError",
    "columns_for",
    "dialogues_from_table",
    "read_manifest",
    "read_rows",
    "read_shards",
    "validate_dialogue",
    "verify_shard",
    "write_shards",
]
