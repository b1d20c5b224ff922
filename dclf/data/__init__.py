"""Dialogues on disk and in memory: Arrow shards, importers, a generator, validation and the feature card."""

from dclf.data.card import FeatureCard, SplitCard, feature_card
from dclf.data.checks import validate_dialogue
from dclf.data.dialogue import MODALITIES, SPLITS, UNLABELLED, DatasetInfo, Dialogue
from dclf.data.errors import (
    DataError,
    MissingModalityError,
    OutputFolderError,
    ShardError,
    SourceError,
    UnsafePickleError,
)
from dclf.data.generator import generate
from dclf.data.importers import IMPORTERS, import_dataset, import_meld_csv, import_mmgcn_iemocap, import_mmgcn_meld
from dclf.data.index import DialogueIndex
from dclf.data.manifest import Manifest, ShardEntry, read_manifest, verify_shard
from dclf.data.reader import ShardSet, read_rows, read_shards
from dclf.data.rows import dialogues_from_table
from dclf.data.schema import columns_for
from dclf.data.shifts import emotion_shifts
from dclf.data.validation import ValidationReport, validate_shards
from dclf.data.writer import write_shards

__all__ = [
    "IMPORTERS",
    "MODALITIES",
    "SPLITS",
    "UNLABELLED",
    "DataError",
    "DatasetInfo",
    "Dialogue",
    "DialogueIndex",
    "FeatureCard",
    "Manifest",
    "MissingModalityError",
    "OutputFolderError",
    "ShardEntry",
    "ShardError",
    "ShardSet",
    "SourceError",
    "SplitCard",
    "UnsafePickleError",
    "ValidationReport",
    "columns_for",
    "dialogues_from_table",
    "emotion_shifts",
    "feature_card",
    "generate",
    "import_dataset",
    "import_meld_csv",
    "import_mmgcn_iemocap",
    "import_mmgcn_meld",
    "read_manifest",
    "read_rows",
    "read_shards",
    "validate_dialogue",
    "validate_shards",
    "verify_shard",
    "write_shards",
]
