"""What every extractor must do with a few utterances of its kind."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dclf.extraction import Extractor, ExtractorSettings, Row, Unreadable, Utterance, settings_of


class ExtractorContract:
    """Derive a class whose name begins with ``Test``, and write ``settings`` and ``utterances``."""

    tolerance: float = 1e-5
    """By how much a row may differ with the batch that it is computed in: relative to the row's largest number."""

    def settings(self, folder: Path) -> ExtractorSettings:
        """The extractor's settings, as a user gives them.

        Args:
            folder: empty; an encoder may be written there.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method settings that returns the settings")

    def utterances(self, folder: Path) -> Sequence[Utterance]:
        """Three utterances or more, of several lengths, all of which have a row.

        Args:
            folder: empty; recordings may be written there.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method utterances that returns some")

    @pytest.fixture
    def resolved(self, tmp_path: Path) -> ExtractorSettings:
        """The settings after ``resolve``."""
        return self.settings(_empty(tmp_path / "encoder")).resolve()

    @pytest.fixture
    def extractor(self, resolved: ExtractorSettings) -> Extractor:
        """The extractor, on the CPU."""
        return resolved.load("cpu")

    @pytest.fixture
    def some(self, tmp_path: Path) -> Sequence[Utterance]:
        """The utterances."""
        return self.utterances(_empty(tmp_path / "recordings"))

    def test_settings_are_possible(self, tmp_path: Path) -> None:
        """There is nothing against them, and ``resolve`` tells the encoder from others of its name."""
        settings = self.settings(_empty(tmp_path / "encoder"))
        assert settings.problems() == []
        assert settings.resolve().identity

    def test_settings_come_back_from_their_facts(self, resolved: ExtractorSettings) -> None:
        """Out of the shards' provenance, which is JSON."""
        read = settings_of(json.loads(json.dumps(resolved.facts())))
        assert type(read) is type(resolved)
        assert read.facts() == resolved.facts()
        assert read.fingerprint() == resolved.fingerprint()

    def test_settings_travel_to_other_processes(self, resolved: ExtractorSettings) -> None:
        """Actors get them pickled."""
        assert pickle.loads(pickle.dumps(resolved)).facts() == resolved.facts()  # noqa: S301 - pickled in this line

    def test_rows_are_as_wide_as_announced(self, extractor: Extractor, some: Sequence[Utterance]) -> None:
        """And float32, and finite."""
        for row in extractor.rows(some):
            assert isinstance(row, np.ndarray)
            assert row.dtype == np.float32
            assert row.shape == (extractor.width,)
            assert np.isfinite(row).all()

    def test_utterances_have_rows_of_their_own(self, extractor: Extractor, some: Sequence[Utterance]) -> None:
        """Not all get the same."""
        first, *others = _vectors(extractor.rows(some))
        assert any(not np.array_equal(first, other) for other in others)

    def test_a_row_does_not_depend_on_its_batch(self, extractor: Extractor, some: Sequence[Utterance]) -> None:
        """It is the same alone, among others and in another order, but for rounding."""
        alone = [_vectors(extractor.rows([one]))[0] for one in some]
        together = _vectors(extractor.rows(some))
        backwards = _vectors(extractor.rows(list(reversed(some))))[::-1]
        for one, other, third in zip(alone, together, backwards, strict=True):
            bound = self.tolerance * max(1.0, float(np.abs(one).max()))
            np.testing.assert_allclose(other, one, rtol=0, atol=bound)
            np.testing.assert_allclose(third, one, rtol=0, atol=bound)

    def test_opened_again_it_gives_the_same_rows(
        self, resolved: ExtractorSettings, extractor: Extractor, some: Sequence[Utterance]
    ) -> None:
        """Nothing is drawn: what was computed yesterday lies in the cache."""
        for one, other in zip(_vectors(extractor.rows(some)), _vectors(resolved.load("cpu").rows(some)), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_an_utterance_that_cannot_be_read_spoils_no_other(
        self, resolved: ExtractorSettings, extractor: Extractor, some: Sequence[Utterance], tmp_path: Path
    ) -> None:
        """It gets a reason in the place of a row."""
        absent = Utterance(recording=str(tmp_path / "absent.wav")) if resolved.reads == "recording" else Utterance()
        first, reason, *_ = extractor.rows([some[0], absent, *some[1:]])
        assert isinstance(first, np.ndarray)
        assert isinstance(reason, Unreadable)
        assert reason.reason


def _empty(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _vectors(rows: Sequence[Row]) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    assert all(isinstance(row, np.ndarray) for row in rows), rows
    return [row for row in rows if not isinstance(row, Unreadable)]
