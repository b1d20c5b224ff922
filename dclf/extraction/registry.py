"""Extractors by name: those that ship, those of installed packages, and class paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dclf.extensions import ExtensionPoint
from dclf.extraction.contract import ExtractionError, ExtractorSettings

EXTRACTORS = ExtensionPoint(
    "dclf.extractors",
    "extractor",
    {
        "text": "dclf.extraction.text:TextSettings",
        "opensmile": "dclf.extraction.audio:OpenSmileSettings",
        "speech": "dclf.extraction.audio:SpeechSettings",
        "image": "dclf.extraction.visual:ImageSettings",
    },
)


def settings_type(name: str) -> type[ExtractorSettings]:
    """The settings of this name or class path.

    Raises:
        ExtensionError: there are none, or they are no settings of an extractor.
    """
    settings: Any = EXTRACTORS.load(name)
    if not (isinstance(settings, type) and issubclass(settings, ExtractorSettings)):
        raise EXTRACTORS.refuse(name, "a class that derives from dclf.extraction.ExtractorSettings", settings)
    return settings


def settings_of(facts: Mapping[str, Any]) -> ExtractorSettings:
    """The settings that shards or a run remember, from ``ExtractorSettings.facts``.

    Raises:
        ExtractionError: they are of another version of dclf, or name no extractor.
        ExtensionError: the extractor is not installed here.
    """
    name = facts.get("extractor")
    if not isinstance(name, str):
        raise ExtractionError(f"the facts of an extraction must name its extractor, are {dict(facts)!r}")
    return settings_type(name).from_facts(facts)
