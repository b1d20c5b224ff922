"""Raw words and recordings of conversations to predict, made into rows as those of the run's shards were.

n  utterances        D_m  width of modality m

A run remembers in its dataset's provenance how its shards were extracted, where ``dclf data extract`` made them:
``provenance["extraction"]`` is modality -> ``ExtractorSettings.facts``. A vector that an utterance brings is taken as
it is, and nothing is opened for it; extractors are opened when the first utterance needs them, and stay open.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from dclf.extraction.contract import (
    BATCH_SIZES,
    ExtractionError,
    Extractor,
    ExtractorSettings,
    Row,
    Unreadable,
    Utterance,
    check_rows,
)
from dclf.extraction.registry import settings_of

EXTRACTION = "extraction"
"""Of a dataset's provenance: modality -> facts."""
_log = logging.getLogger(__name__)


class RunExtractors:
    """What made the rows of a run's shards, for the modalities that its model reads.

    Args:
        widths: modality -> D_m, of what the model reads.
        provenance: of the dataset that it was trained on.
        device: for the encoders, as torch names it.

    Attributes:
        widths: likewise.
    """

    def __init__(
        self, widths: Mapping[str, int], provenance: Mapping[str, object] | None = None, device: str = "cpu"
    ) -> None:
        self.widths = dict(widths)
        self._device = device
        extraction = (provenance or {}).get(EXTRACTION)
        facts = extraction if isinstance(extraction, Mapping) else {}
        self._facts = {modality: facts[modality] for modality in widths if modality in facts}
        self._settings: dict[str, ExtractorSettings] = {}
        self._open: dict[str, Extractor] = {}
        self._warnings: set[str] = set()

    def settings(self) -> dict[str, ExtractorSettings]:
        """Modality -> settings of its extractor, of those that can be made here.

        Raises:
            ExtractionError, ExtensionError: what made them is not known here.
        """
        return {modality: self._settings_of(modality) for modality in self._facts}

    def reads(self) -> dict[str, str]:
        """Modality -> ``text`` or ``recording``, of which its rows are made; raises as ``settings``."""
        return {modality: settings.reads for modality, settings in self.settings().items()}

    def lacking(self, features: Mapping[str, Any], raw: Utterance) -> tuple[str, ...]:
        """The modalities of which an utterance brings no vector, and what its row is made of.

        Args:
            features: modality -> vector, None where it is said to be missing.
            raw: its words and recording.

        Raises:
            ExtractionError, ExtensionError: as ``settings``.
        """
        brings = {"text": bool(raw.text.strip()), "recording": bool(raw.recording)}
        if not any(brings.values()):
            return ()
        return tuple(m for m in self._facts if m not in features and brings.get(self._settings_of(m).reads, False))

    def locate(self, encoders: Mapping[str, str]) -> None:
        """Say where encoders lie now, instead of where they lay when the shards were made.

        Args:
            encoders: modality -> folder.

        Raises:
            ExtractionError: the model reads no such modality of an extractor, or it is another encoder.
        """
        for modality, place in encoders.items():
            if modality not in self._facts:
                modalities = ", ".join(self._facts) or "none"
                raise ExtractionError(
                    f"an encoder must be of a modality that the model reads and dclf extracted ({modalities}), is of "
                    f"{modality!r}"
                )
            try:
                self._settings[modality] = self._settings_of(modality).located(place)
            except ExtractionError as error:
                raise ExtractionError(f"the encoder of {modality}: {error}") from error
            self._open.pop(modality, None)

    def vectors(
        self, features: Sequence[Mapping[str, Any]], raw: Sequence[Utterance], places: Sequence[str]
    ) -> dict[str, list[Any]]:
        """The vectors of utterances: their own, else made of what they bring.

        Args:
            features: of n utterances, modality -> vector, None where it is said to be missing.
            raw: n of them, as far as they bring words or recordings.
            places: n, where they stand, for messages.

        Returns:
            Modality -> n vectors, None where missing; of all that the model reads. What cannot be read is missing, and
            a warning is logged.

        Raises:
            ExtractionError: an extractor cannot be opened, makes rows of another width, or returns what is no row.
            ExtensionError: it is not installed here.
        """
        columns = {modality: [own.get(modality) for own in features] for modality in self.widths}
        lacking = [self.lacking(own, one) for own, one in zip(features, raw, strict=True)]
        for modality in self._facts:
            at = [i for i, modalities in enumerate(lacking) if modality in modalities]
            for i, row in zip(at, self._rows(modality, [raw[i] for i in at]), strict=True):
                if isinstance(row, Unreadable):
                    _log.warning("%s: %s features are missing: %s", places[i], modality, row.reason)
                else:
                    columns[modality][i] = row
        self._tell_unread(features, raw, places)
        return columns

    def _tell_unread(
        self, features: Sequence[Mapping[str, Any]], raw: Sequence[Utterance], places: Sequence[str]
    ) -> None:
        """Warn, once for a modality, of recordings from which one might expect it in vain."""
        for modality in self.widths.keys() - self._facts.keys() - {"text"} - self._warnings:
            silent = (i for i, own in enumerate(features) if raw[i].recording and modality not in own)
            if (first := next(silent, None)) is not None:
                self._warnings.add(modality)
                _log.warning(
                    "%s: %s features are missing, here and wherever no vector comes: dclf data extract did not make "
                    "those of the run's shards, so that recordings cannot be made into them",
                    places[first],
                    modality,
                )

    def _rows(self, modality: str, utterances: Sequence[Utterance]) -> list[Row]:
        """A row of each, or why there is none; nothing is opened where no utterance needs it."""
        if not utterances:
            return []
        reads = self._settings_of(modality).reads
        absences = [_absence(one, reads) for one in utterances]
        there = [one for one, absence in zip(utterances, absences, strict=True) if absence is None]
        # Batch by batch: a whole conversation's recordings, decoded at once, may be more than the memory.
        size = BATCH_SIZES[reads]
        batches = (there[begin : begin + size] for begin in range(0, len(there), size))
        rows = chain.from_iterable(self._batch_rows(modality, batch) for batch in batches)
        return [next(rows) if absence is None else absence for absence in absences]

    def _batch_rows(self, modality: str, batch: Sequence[Utterance]) -> list[Row]:
        extractor = self._extractor(modality)
        try:
            return check_rows(extractor, extractor.rows(batch), len(batch))
        except ExtractionError as error:
            raise _failure(modality, self._settings_of(modality), str(error)) from error

    def _settings_of(self, modality: str) -> ExtractorSettings:
        if modality not in self._settings:
            self._settings[modality] = settings_of(self._facts[modality])
        return self._settings[modality]

    def _extractor(self, modality: str) -> Extractor:
        if modality not in self._open:
            settings = self._settings_of(modality)
            try:
                extractor = settings.load(self._device)
            except ExtractionError as error:
                raise _failure(modality, settings, f"{error}{_remedy(modality, settings)}") from error
            if extractor.width != (width := self.widths[modality]):
                raise _failure(modality, settings, f"its rows must have {width} numbers, have {extractor.width}")
            self._open[modality] = extractor
        return self._open[modality]


def environment_name(modality: str) -> str:
    """The environment variable that says to a served model where the encoder of a modality lies now."""
    return f"DCLF_ENCODER_{modality.upper()}"


def _absence(utterance: Utterance, reads: str) -> Unreadable | None:
    """Why an extractor needs no look at an utterance; None where it does."""
    if reads != "recording":
        return None
    try:
        there = Path(utterance.recording).is_file()
    except OSError as error:  # the name is too long, or a folder is closed to this user
        return Unreadable(f"{utterance.recording} cannot be read ({error.strerror or error})", lasting=False)
    return None if there else Unreadable(f"there is no file {utterance.recording}", lasting=False)


def _failure(modality: str, settings: ExtractorSettings, reason: str) -> ExtractionError:
    encoder = f" with the encoder in {settings.place}, of identity {settings.identity}" if settings.place else ""
    return ExtractionError(
        f"{modality} features cannot be made as those of the run's shards were, by the extractor {settings.name}"
        f"{encoder}: {reason}"
    )


def _remedy(modality: str, settings: ExtractorSettings) -> str:
    if not settings.place:
        return ""
    return (
        f"; where that encoder lies elsewhere now, name the folder: --encoder {modality}=FOLDER, encoders= in Python, "
        f"{environment_name(modality)} behind MLflow"
    )
