"""Features from sound: openSMILE's published sets, and the states of any encoder like wav2vec 2.0.

D    width of a row

A recording of several channels is their mean. Where its sound is too short for a row, or gives numbers that are not
finite, the utterance has no row: nothing is put in their place.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import ClassVar, Self

import numpy as np

from dclf.extraction.contract import ExtractionError, Extractor, ExtractorSettings, Row, Unreadable, Utterance, Vector
from dclf.extraction.encoders import check_identity, identity, locate
from dclf.extraction.media import BrokenRecording, sound_of
from dclf.extraction.packages import missing_packages, require
from dclf.prose import join_words, suggestion

SETS = {"is10": "IS10", "egemaps": "eGeMAPSv02", "compare": "ComParE_2016"}
"""Our names of openSMILE's sets of functionals -> those of ``opensmile.FeatureSet``: 1,582, 88 and 6,373 columns."""


@dataclass(frozen=True, kw_only=True)
class OpenSmileSettings(ExtractorSettings):
    """Functionals of openSMILE over the whole utterance.

    They depend on the sampling rate, so that recordings of several rates want one ``rate``.

    Attributes:
        features: is10 (INTERSPEECH 2010's paralinguistic set, that of IEMOCAP's published features), egemaps
            (eGeMAPSv02) or compare (ComParE 2016).
        rate: samples a second to resample recordings to; 0 leaves them as they are.
        longest: seconds that an utterance may last; what is longer has no row.
    """

    name: ClassVar[str] = "opensmile"
    modality: ClassVar[str] = "audio"
    reads: ClassVar[str] = "recording"

    features: str = "is10"
    rate: int = 0
    longest: float = 180.0

    @property
    def packages(self) -> tuple[str, ...]:
        """See ``ExtractorSettings``."""
        return "opensmile", "av"

    def problems(self) -> list[str]:
        """Everything that is impossible."""
        problems = missing_packages(f"openSMILE's {self.features}", ["opensmile", "av"])
        if self.features not in SETS:
            problems.append(f"openSMILE's features must be {join_words([*SETS], 'or')}, are {self.features!r}")
        if self.rate < 0:
            problems.append(f"rate must be samples a second, or 0 for the recording's own, is {self.rate}")
        return problems + _impossible_seconds(longest=self.longest)

    def resolve(self) -> Self:
        """The same with the set's full name and openSMILE's version as ``identity``.

        Raises:
            ExtractionError: something is impossible.
        """
        if problems := self.problems():
            raise ExtractionError("\n".join(problems))
        return replace(self, identity=f"{SETS[self.features]} of opensmile {version('opensmile')}")

    def load(self, device: str) -> OpenSmile:  # noqa: ARG002 - openSMILE computes on the CPU
        """Open openSMILE.

        Raises:
            ExtractionError: something is impossible, or the version is another than that of ``identity``.
        """
        here = self.resolve().identity
        if self.identity not in {"", here}:
            raise ExtractionError(
                f"the rows must be {self.identity}, but here is {here}: install that version, or extract anew"
            )
        return OpenSmile(self)


class OpenSmile:
    """openSMILE with one set of features.

    Attributes:
        columns: openSMILE's names of the D columns.
    """

    def __init__(self, settings: OpenSmileSettings) -> None:
        import opensmile  # noqa: PLC0415 - of the extra

        self._settings = settings
        self._smile = opensmile.Smile(opensmile.FeatureSet[SETS[settings.features]], opensmile.FeatureLevel.Functionals)
        self.columns: tuple[str, ...] = tuple(self._smile.feature_names)

    @property
    def width(self) -> int:
        """D."""
        return len(self.columns)

    def rows(self, utterances: Sequence[Utterance]) -> list[Row]:
        """A float32 [D] for each utterance, or why there is none."""
        return [self._row(utterance) for utterance in utterances]

    def _row(self, utterance: Utterance) -> Row:
        settings = self._settings
        try:
            samples, rate = sound_of(utterance, settings.rate or None, settings.longest)
        except BrokenRecording as error:
            return Unreadable(error.reason, error.lasting)
        # openSMILE makes 16-bit integers of samples, in which values beyond 1 would turn negative.
        whole = np.clip(samples, -1, 32767 / 32768)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Segment too short")
            values: Vector = self._smile(whole, rate)[0, :, 0].astype(np.float32)
        finite = np.isfinite(values)
        if finite.all():
            return values
        if not finite.any():
            return Unreadable(
                f"its sound of {len(samples) / rate:.3f} s is too short for openSMILE's {settings.features}"
            )
        return Unreadable(f"openSMILE gives {self.columns[int(finite.argmin())]} no finite number for its sound")


@dataclass(frozen=True, kw_only=True)
class SpeechSettings(ExtractorSettings):
    """The mean over an utterance's frames of the states of an encoder like wav2vec 2.0: HuBERT, WavLM, and others.

    Attributes:
        model: folder of the encoder, or its name on the hub.
        revision: branch, tag or commit on the hub; after ``resolve`` the commit.
        layer: whose states, as transformers counts them: 0 is what goes into the first layer, -1 what the encoder
            gives in the end, behind its last normalisation.
        last_four: the mean of the last four layers' states instead, which a last normalisation is not part of.
        chunk: seconds of sound that the encoder sees at a time; longer utterances are cut into equal parts below it.
        longest: seconds that an utterance may last; what is longer has no row.
    """

    name: ClassVar[str] = "speech"
    modality: ClassVar[str] = "audio"
    reads: ClassVar[str] = "recording"

    model: str = ""
    revision: str = ""
    layer: int = -1
    last_four: bool = False
    chunk: float = 20.0
    longest: float = 180.0

    @property
    def packages(self) -> tuple[str, ...]:
        """See ``ExtractorSettings``."""
        return "transformers", "av"

    def problems(self) -> list[str]:
        """Everything that is impossible; whether the encoder is there says ``resolve``."""
        problems = missing_packages("speech", ["transformers", "av"])
        if not self.model:
            problems.append("speech needs a model: a folder, or a name on the hub such as facebook/wav2vec2-base")
        if self.layer < -1:
            problems.append(f"layer must be counted from 0, or -1 for the end, is {self.layer}")
        if self.last_four and self.layer != -1:
            problems.append(f"speech takes one layer or the mean of the last four, not layer {self.layer} and both")
        return problems + _impossible_seconds(longest=self.longest, chunk=self.chunk)

    def resolve(self) -> Self:
        """The same with a hash of the encoder's files, and its folder absolute or its commit on the hub.

        Raises:
            ExtractionError: something is impossible, or the encoder cannot be had.
        """
        if problems := self.problems():
            raise ExtractionError("\n".join(problems))
        try:
            located = locate(self.model, self.revision)
        except ExtractionError as error:
            raise ExtractionError(f"{error}{suggestion(self.model, SETS)}") from error
        return replace(self, identity=identity(located.folder), model=located.model, revision=located.revision)

    def load(self, device: str) -> Extractor:
        """Open the encoder.

        Raises:
            ExtractionError: it cannot be had, is not that of ``identity``, or does not read sound as wav2vec 2.0 does.
        """
        require("speech", ["transformers", "av"])
        from dclf.extraction.speech import Speech  # noqa: PLC0415 - torch

        folder = locate(self.model, self.revision).folder
        check_identity(folder, self.identity)
        return Speech(folder, device, self.layer, self.last_four, self.chunk, self.longest)

    def fingerprint(self) -> str:
        """As of all extractors; where the encoder lies is none of it."""
        return ExtractorSettings.fingerprint(replace(self, model="", revision=""))


def _impossible_seconds(**seconds: float) -> list[str]:
    return [f"{name} must be more than 0 seconds, is {value:g}" for name, value in seconds.items() if not value > 0]
