"""Extractors whose encoder is a folder with a salt: rows are hashes of words, or of the bytes of a recording."""

from __future__ import annotations

import hashlib
import importlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from dclf.extraction import ExtractionError, ExtractorSettings, Row, Unreadable, Utterance, Vector

SALT = "salt"


def encoder(folder: Path, salt: str = "salty") -> Path:
    """A folder that ``HashedWords`` and ``HashedRecordings`` can read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SALT).write_text(salt, encoding="utf-8")
    return folder


def hashed(content: bytes, width: int) -> Vector:
    draw = np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest()[:8], "big"))
    return draw.standard_normal(width).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class HashedWords(ExtractorSettings):
    """Hashes of words."""

    name: ClassVar[str] = f"{__name__}:HashedWords"
    modality: ClassVar[str] = "text"
    reads: ClassVar[str] = "text"

    model: str
    width: int
    revision: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        return "numpy", "no-such-package-here"

    def problems(self) -> list[str]:
        return []

    def resolve(self) -> Self:
        return replace(self, model=str(Path(self.model).absolute()), identity=self._digest())

    def load(self, device: str) -> Hashes:
        if self._digest() != self.identity:
            raise ExtractionError(f"the salt in {self.model} is another")
        return Hashes(self, (Path(self.model) / SALT).read_bytes())

    def _digest(self) -> str:
        try:
            return hashlib.sha256((Path(self.model) / SALT).read_bytes()).hexdigest()[:12]
        except OSError as error:
            raise ExtractionError(f"{self.model}: must hold the file {SALT} ({error.strerror})") from error


@dataclass(frozen=True, kw_only=True)
class HashedRecordings(HashedWords):
    """Hashes of a recording's bytes, and of the seconds that an utterance has of it."""

    name: ClassVar[str] = f"{__name__}:HashedRecordings"
    modality: ClassVar[str] = "audio"
    reads: ClassVar[str] = "recording"


class Hashes:
    """The open extractor; ``calls`` counts how often it was used."""

    def __init__(self, settings: HashedWords, salt: bytes) -> None:
        self.width = settings.width
        self._settings, self._salt = settings, salt

    def rows(self, utterances: Sequence[Utterance]) -> list[Row]:
        return [self._row(one) for one in utterances]

    def _row(self, one: Utterance) -> Row:
        if self._settings.reads == "text":
            return hashed(self._salt + one.text.encode(), self.width)
        content = Path(one.recording).read_bytes()
        if not content:
            return Unreadable("there is no sound track")
        return hashed(self._salt + content + f"{one.start}-{one.end}".encode(), self.width)


def facts(folder: Path, **widths: int) -> dict[str, dict[str, Any]]:
    """Modality -> facts, of encoders that lie in a folder.

    Args:
        folder: the encoder's; it is written where it is not there.
        widths: of ``text``, ``audio`` or both.
    """
    place = str(folder if folder.exists() else encoder(folder))
    kinds = {"text": HashedWords, "audio": HashedRecordings}
    return {modality: kinds[modality](model=place, width=width).resolve().facts() for modality, width in widths.items()}


@contextmanager
def as_own_module(folder: Path, name: str = "own_hashes") -> Iterator[Any]:
    """This module as a file of the user's own, which Python finds meanwhile.

    A logged model takes an extractor's top-level package along, which is all the tests where it is here.
    """
    shutil.copy(__file__, folder / f"{name}.py")
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        yield importlib.import_module(name)
