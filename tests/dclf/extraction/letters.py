"""An extractor of the tests' own: counts letters, and can write down what it computes, refuse, fail and kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from dclf.extraction import ExtractionError, ExtractorSettings, Row, Unreadable, Utterance


@dataclass(frozen=True, kw_only=True)
class LetterSettings(ExtractorSettings):
    """How often each letter occurs.

    Attributes:
        model: any name; ``absent`` cannot be found, and ``broken`` cannot be opened.
        width: letters that are counted.
        log: file that is told every text; none where empty.
        mortal: whether a text with the word DEADLY kills its process, once for all processes, and CTRL C interrupts
            it; needs ``log``.
    """

    name: ClassVar[str] = "tests.dclf.extraction.letters:LetterSettings"
    modality: ClassVar[str] = "text"
    reads: ClassVar[str] = "text"

    model: str = "abc"
    width: int = 3
    log: str = ""
    mortal: bool = False

    def problems(self) -> list[str]:
        """Widths that are none."""
        return [] if self.width > 0 else [f"width: must be 1 or more, is {self.width}"]

    def resolve(self) -> Self:
        """The same, of version 1."""
        if self.model == "absent":
            raise ExtractionError("model: there is no model called absent; name another")
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**values | {"identity": "1"})

    def load(self, device: str) -> Letters:
        """Open it."""
        if self.model == "broken":
            raise ExtractionError("model: broken has no weights; fetch it again")
        return Letters(self)

    def facts(self) -> dict[str, Any]:
        """Without where it writes and whether it dies."""
        return {key: value for key, value in super().facts().items() if key not in ("log", "mortal")}


class Letters:
    """See ``LetterSettings``."""

    def __init__(self, settings: LetterSettings) -> None:
        self._settings = settings

    @property
    def width(self) -> int:
        """Letters that are counted."""
        return self._settings.width

    def rows(self, utterances: Sequence[Utterance]) -> list[Row]:
        """Count the letters; a text that says it is unreadable is, and one that says so fails the batch."""
        return [self._row(utterance.text) for utterance in utterances]

    def _row(self, text: str) -> Row:
        if "FAILS" in text:
            raise RuntimeError("no such letter\nand more")
        if "DEADLY" in text and self._settings.mortal and not (mark := Path(f"{self._settings.log}.died")).exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if "CTRL C" in text and self._settings.mortal:
            signal.raise_signal(signal.SIGINT)
        if self._settings.log:
            with Path(self._settings.log).open("a", encoding="utf-8") as stream:
                stream.write(f"{text}\n")
        if "UNREADABLE" in text:
            return Unreadable("it is in another script")
        if "NAN" in text:
            return np.full(self.width, np.nan, dtype=np.float32)
        return np.array([text.count(letter) for letter in "abcdefghij"[: self.width]], dtype=np.float32)
