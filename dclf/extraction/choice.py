"""Which extractor a word of the user's means: a model for the words, openSMILE's sets or a model for the sound.

An extractor's options are the fields of its settings; the first of them is what the word itself says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
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
        ExtractionError: it is of another modality, has not all of the options, or lacks one that it needs.
    """
    settings, values = settings_for(modality, word)
    _refuse_unknown(word, options, [option.name for option in option_fields(settings) if option.name not in values])
    needed = [field.name for field in fields(settings) if field.default is MISSING and field.default_factory is MISSING]
    if lacking := [name for name in needed if name not in values and name not in options]:
        raise ExtractionError(f"{word} needs {', '.join(lacking)}, which must be given")
    return settings(**values, **options)


def with_options(settings: ExtractorSettings, options: Mapping[str, Any]) -> ExtractorSettings:
    """Settings with some of their values changed.

    Args:
        settings: of an extractor.
        options: field of the settings -> value.

    Raises:
        ExtractionError: they have not all of the options.
    """
    _refuse_unknown(settings.name, options, [option.name for option in option_fields(type(settings))])
    return replace(settings, **options)


def _refuse_unknown(extractor: str, options: Mapping[str, Any], names: Sequence[str]) -> None:
    if unknown := sorted(set(options) - set(names)):
        raise ExtractionError(
            f"{extractor} takes no {', '.join(unknown)}; it takes {', '.join(names) if names else 'no options'}"
        )


def option_fields(settings: type[ExtractorSettings]) -> list[Option]:
    """What a user may set: the fields with plain values, but for ``identity``."""
    hints = get_type_hints(settings)
    return [
        Option(field.name, hints[field.name], None if field.default is MISSING else field.default)
        for field in fields(settings)
        if field.name != "identity" and not any(map(is_dataclass, (hints[field.name], *get_args(hints[field.name]))))
    ]
