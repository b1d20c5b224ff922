"""What is to be done for the features of one modality, and what has come of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from dclf.extraction.cache import CachedRows, FeatureCache
from dclf.extraction.choice import option_fields
from dclf.extraction.contents import Key
from dclf.extraction.contract import ExtractorSettings, Row, Unreadable
from dclf.extraction.features import ExtractedRows
from dclf.extraction.table import UtteranceTable


@dataclass(frozen=True, kw_only=True, eq=False)
class ModalityWork:
    """The utterances of a table and an extractor for them.

    Attributes:
        settings: of the extractor, resolved.
        table: with the utterances.
        keys: of each utterance, or why there is nothing to read.
        cache: of the extractor.
    """

    settings: ExtractorSettings
    table: UtteranceTable
    keys: Sequence[Key]
    cache: FeatureCache
    _passing: dict[str, Unreadable] = field(default_factory=dict)

    @property
    def modality(self) -> str:
        """Text, audio or visual."""
        return self.settings.modality

    @property
    def name(self) -> str:
        """Of the extractor, and of its model or its set of features."""
        options = option_fields(type(self.settings))
        return f"{self.settings.name} {getattr(self.settings, options[0].name)}" if options else self.settings.name

    @cached_property
    def _before(self) -> CachedRows:
        return self.cache.read()

    @cached_property
    def _uses(self) -> Counter[str]:
        """Key -> the utterances that have it."""
        return Counter(key for key in self.keys if not isinstance(key, Unreadable))

    @cached_property
    def pending(self) -> dict[str, int]:
        """Key of a content that the cache lacked -> place of the first utterance that has it."""
        places: dict[str, int] = {}
        for place, key in enumerate(self.keys):
            if not isinstance(key, Unreadable) and key not in self._before:
                places.setdefault(key, place)
        return places

    @property
    def ready(self) -> int:
        """Utterances that need no extractor: they were in the cache, or have nothing to read."""
        return len(self.keys) - sum(self._uses[key] for key in self.pending)

    @property
    def empty(self) -> int:
        """Utterances that have nothing to read."""
        return len(self.keys) - self._uses.total()

    def describe(self) -> str:
        """A line for the terminal."""
        cached = f"{self.ready - self.empty:,} of {len(self.keys):,} utterances are in the cache"
        return f"{self.modality}: {self.name}, {cached}" + f", {self.empty:,} have nothing to read" * bool(self.empty)

    def arrived(self, keys: Sequence[str], rows: Sequence[Row]) -> int:
        """Take note of rows that came, and return how many utterances they are of."""
        for key, row in zip(keys, rows, strict=True):
            if isinstance(row, Unreadable) and not row.lasting:
                self._passing[key] = row
        return sum(self._uses[key] for key in keys)

    def rows(self) -> ExtractedRows:
        """All rows, when nothing is pending any more."""
        return ExtractedRows(
            modality=self.modality,
            table=self.table,
            keys=self.keys,
            cached=self.cache.read() if self.pending else self._before,
            passing=self._passing,
            folder=self.cache.folder,
        )
