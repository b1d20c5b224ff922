"""Dialogues on disk and in memory: Arrow shards, importers, a generator, validation and the feature card."""

from dclf.data.bayes import BayesReport, BayesScore, bayes_shards, write_bayes
from dclf.data.card import FeatureCard, SplitCard, feature_card
from dclf.data.checks import validate_dialogue
from dclf.data.dialogue import MODALITIES, SPLITS, UNLABELLED, DatasetInfo, Dialogue
from dclf.data.errors import (
    DataError,
    MissingModalityError,
    OutputFolderError,
    ShardError,
    ShardsUnavailableError,
    SourceError,
    UnsafePickleError,
)
from dclf.data.export import Export, export_shards
from dclf.data.generator import generate
from dclf.data.importers import IMPORTERS, import_dataset
from dclf.data.index import DialogueIndex
from dclf.data.manifest import Manifest, ShardEntry
from dclf.data.probe import ModalityProbe, ProbeReport, probe_shards, write_probe
from dclf.data.readable import readable
from dclf.data.reader import ShardSet, read_shards
from dclf.data.shifts import emotion_shifts
from dclf.data.validation import ValidationReport, validate_shards
from dclf.data.writer import write_shards

__all__ = [
    "IMPORTERS",
    "MODALITIES",
    "SPLITS",
    "UNLABELLED",
    "BayesReport",
    "BayesScore",
    "DataError",
    "DatasetInfo",
    "Dialogue",
    "DialogueIndex",
    "Export",
    "FeatureCard",
    "Manifest",
    "MissingModalityError",
    "ModalityProbe",
    "OutputFolderError",
    "ProbeReport",
    "ShardEntry",
    "ShardError",
    "ShardSet",
    "ShardsUnavailableError",
    "SourceError",
    "SplitCard",
    "UnsafePickleError",
    "ValidationReport",
    "bayes_shards",
    "emotion_shifts",
    "export_shards",
    "feature_card",
    "generate",
    "import_dataset",
    "probe_shards",
    "read_shards",
    "readable",
    "validate_dialogue",
    "validate_shards",
    "write_bayes",
    "write_probe",
    "write_shards",
]
