"""Features from raw words, sound and pictures: what turns utterances into rows, and what is remembered of it."""

from __future__ import annotations

from dclf.extraction.contract import (
    ExtractionError,
    Extractor,
    ExtractorSettings,
    Row,
    Unreadable,
    Utterance,
    Vector,
)
from dclf.extraction.registry import EXTRACTORS, settings_of, settings_type

__all__ = [
    "EXTRACTORS",
    "ExtractionError",
    "Extractor",
    "ExtractorSettings",
    "Row",
    "Unreadable",
    "Utterance",
    "Vector",
    "settings_of",
    "settings_type",
]
