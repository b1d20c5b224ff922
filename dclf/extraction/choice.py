"""Which extractor a word of the user's means: a model for the words, openSMILE's sets or a model for the sound.

An extractor's options are the fields of its settings; the first of them is what the word itself says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from dclf.extraction.contract import ExtractionError, ExtractorSettings
from dclf.extraction.registry import EXTRACTORS, settings_type

FEATURE_SETS = ("is10", "egemaps", "compare")
"""Feature sets of openSMILE, as the command line names them."""
SHIPPED = {"text": ("text",), "audio": ("opensmile", "speech"), "visual": ("image",)}
"""Modality -> extractors that ship, the one of models last."""


@dataclass(frozen=True)
class Option:
    """A field of an extractor's settings.

    Attributes:
        name: of the field.
        kind: its type.
        default: None where it has none.
    """

    name: str
    kind: Any
    default: Any


def settings_for(modality: str, word: str) -> tuple[type[ExtractorSettings], dict[str, Any]]:
    """The extractor that a word means, and what the word says of its settings.

    Args:
        modality: text, audio or visual.
        word: the name of an installed package's extractor or a class path; one of ``FEATURE_SETS`` for audio; else a
            model's folder or its name on the hub.

    Raises:
        ExtensionError: the extractor cannot be imported.
        ExtractionError: it is one of another modality.
    """
    own = ":" in word or (word in EXTRACTORS.names() and word not in EXTRACTORS.shipped)
    name = word if own else SHIPPED[modality][0 if word.lower() in FEATURE_SETS else -1]
    settings = settings_type(name)
    if settings.modality != modality:
        raise ExtractionError(f"{word} must be an extractor of {modality}, is one of {settings.modality}")
    if settings_type(settings.name) is not settings:
        raise ExtractionError(
            f"{word}: the name of the settings must lead back to them, as {word!r} does, is {settings.name!r}"
        )
    if own:
        return settings, {}
    return settings, {option_fields(settings)[0].name: word.lower() if word.lower() in FEATURE_SETS else word}


def choose(modality: str, word: str, options: Mapping[str, Any]) -> ExtractorSettings:
    """The settings that a word and options mean.

    Args:
        modality: see ``settings_for``, and so is ``word``.
        word: likewise.
        options: field of the settings -> value.

    Raises:
        ExtensionError: the extractor cannot be imported.
        ExtractionError: it is of another modality, or has not all of the options.
    """
    settings, said = settings_for(modality, word)
    known = [option.name for option in option_fields(settings) if option.name not in said]
    if unknown := sorted(set(options) - set(known)):
        raise ExtractionError(
            f"{word} takes no {', '.join(unknown)}; it takes {', '.join(known) if known else 'no options'}"
        )
    return settings(**said, **options)


def option_fields(settings: type[ExtractorSettings]) -> list[Option]:
    """What a user may set: the fields with plain values, but for ``identity``."""
    hints = get_type_hints(settings)
    return [
        Option(field.name, hints[field.name], None if field.default is MISSING else field.default)
        for field in fields(settings)
        if field.name != "identity" and not any(map(is_dataclass, (hints[field.name], *get_args(hints[field.name]))))
    ]
