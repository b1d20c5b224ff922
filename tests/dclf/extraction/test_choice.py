"""What a word of the user's means: openSMILE's sets, models, and extractors of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from dclf.extensions import ExtensionError
from dclf.extraction import ExtractionError
from dclf.extraction.audio import OpenSmileSettings, SpeechSettings
from dclf.extraction.choice import choose, option_fields
from dclf.extraction.text import TextSettings
from dclf.extraction.visual import ImageSettings
from tests.dclf.extraction.letters import LetterSettings

LETTERS = LetterSettings.name


def test_words_mean_models_and_openSMILEs_sets() -> None:  # noqa: N802 - its name
    assert choose("text", "roberta-large", {"pooling": "mean"}) == TextSettings(model="roberta-large", pooling="mean")
    assert choose("audio", "eGeMAPS", {}) == OpenSmileSettings(features="egemaps")
    assert choose("audio", "facebook/wav2vec2-base", {}) == SpeechSettings(model="facebook/wav2vec2-base")
    assert choose("visual", "dino.onnx", {"frames": 3}) == ImageSettings(model="dino.onnx", frames=3)
    assert choose("text", LETTERS, {"width": 2}) == LetterSettings(width=2)


@pytest.mark.parametrize(
    ("modality", "word", "options", "message"),
    [
        ("audio", "is10", {"layer": 3}, "is10 takes no layer; it takes rate, longest"),
        ("text", f"{__name__}:Needing", {}, "Needing needs depth, which must be given"),
        ("visual", LETTERS, {}, "must be an extractor of visual, is one of text"),
        ("text", f"{__name__}:Renamed", {}, "the name of the settings must lead back to them"),
    ],
)
def test_what_does_not_fit_is_refused(modality: str, word: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(ExtractionError, match=message):
        choose(modality, word, options)


def test_an_extractor_that_is_not_there_is_told() -> None:
    with pytest.raises(ExtensionError, match="cannot be imported"):
        choose("text", "no.such.module:Settings", {})


def test_options_are_plain_values() -> None:
    assert [option.name for option in option_fields(TextSettings)] == ["model", "revision", "pooling", "max_tokens"]
    (model, width, _, mortal) = option_fields(LetterSettings)
    assert (model.kind, model.default) == (str, "abc")
    assert (width.kind, width.default) == (int, 3)
    assert (mortal.kind, mortal.default) == (bool, False)


@dataclass(frozen=True, kw_only=True)
class Needing(LetterSettings):
    """Has a value that must be given."""

    name: ClassVar[str] = f"{__name__}:Needing"

    depth: int


class Renamed(LetterSettings):
    """Has the name of other settings."""
