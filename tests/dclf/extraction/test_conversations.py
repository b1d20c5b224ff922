import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.extensions import ExtensionError
from dclf.extraction import ExtractionError, Row, Utterance
from dclf.extraction.conversations import RunExtractors, environment_name
from tests.dclf.extraction.hashing import HashedWords, Hashes, encoder, facts, hashed

WIDTHS = {"text": 3, "audio": 2}
Logged = pytest.LogCaptureFixture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return encoder(tmp_path / "encoder")


@pytest.fixture
def provenance(folder: Path) -> dict[str, Any]:
    return {"importer": "extract", "extraction": facts(folder, **WIDTHS)}


def rows_of(extractors: RunExtractors, raw: Utterance, **features: Any) -> dict[str, Any]:
    return {m: column[0] for m, column in extractors.vectors([features], [raw], ["here"]).items()}


def test_words_become_the_rows_of_the_runs_extractor(provenance: dict[str, Any]) -> None:
    hello, bye = Utterance(text="hello"), Utterance(text="bye")
    extractors = RunExtractors(WIDTHS, provenance)
    columns = extractors.vectors([{}, {}, {}], [hello, Utterance(text=" "), bye], ["a", "b", "c"])
    assert np.array_equal(columns["text"][0], hashed(b"saltyhello", 3))
    assert columns["text"][1] is None
    assert np.array_equal(columns["text"][2], hashed(b"saltybye", 3))
    assert columns["audio"] == [None] * 3
    assert extractors.reads() == {"text": "text", "audio": "recording"}


def test_an_encoder_gets_no_more_at_a_time_than_in_an_extraction(
    provenance: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    rows = Hashes.rows

    def counting(extractor: Hashes, utterances: Sequence[Utterance]) -> list[Row]:
        sizes.append(len(utterances))
        return rows(extractor, utterances)

    monkeypatch.setattr(Hashes, "rows", counting)
    (tmp_path / "talk.wav").write_bytes(b"noise")
    raw = [Utterance(recording=str(tmp_path / "talk.wav"), start=float(second)) for second in range(19)]
    columns = RunExtractors(WIDTHS, provenance).vectors([{}] * 19, raw, ["here"] * 19)
    assert sizes == [8, 8, 3]
    for second, row in enumerate(columns["audio"]):
        assert np.array_equal(row, hashed(f"saltynoise{float(second)}-None".encode(), 2))


def test_own_vectors_win_and_null_stays_missing(provenance: dict[str, Any], folder: Path) -> None:
    shutil.rmtree(folder)  # nothing is opened
    extractors = RunExtractors(WIDTHS, provenance)
    own = [1.0, 2.0, 3.0]
    assert rows_of(extractors, Utterance(text="hello"), text=own, audio=None) == {"text": own, "audio": None}
    assert rows_of(extractors, Utterance(text="hello"), text=None) == {"text": None, "audio": None}
    assert extractors.lacking({"text": None}, Utterance(text="hello")) == ()
    assert extractors.lacking({}, Utterance(text="hello", recording="x")) == ("text", "audio")


def test_recordings_and_what_is_broken_in_them(provenance: dict[str, Any], tmp_path: Path, caplog: Logged) -> None:
    sound, empty, absent = (tmp_path / name for name in ("sound.wav", "empty.wav", "absent.wav"))
    sound.write_bytes(b"noise")
    empty.write_bytes(b"")
    raw = [Utterance(recording=str(place), start=0.5) for place in (sound, absent, empty, sound)]
    columns = RunExtractors(WIDTHS, provenance).vectors([{}] * 4, raw, ["one", "two", "three", "four"])
    vector = hashed(b"saltynoise0.5-None", 2)
    assert [None if row is None else row.tolist() for row in columns["audio"]] == [
        vector.tolist(),
        None,
        None,
        vector.tolist(),
    ]
    assert caplog.messages == [
        f"two: audio features are missing: there is no file {absent}",
        "three: audio features are missing: there is no sound track",
    ]


def test_a_recording_for_features_that_come_from_elsewhere_is_told_once(
    folder: Path, tmp_path: Path, caplog: Logged
) -> None:
    extractors = RunExtractors(WIDTHS, {"extraction": facts(folder, text=3)})
    utterance = Utterance(text="hello", recording=str(tmp_path / "talk.wav"))
    rows_of(extractors, utterance, audio=[1.0, 2.0])
    assert not caplog.messages
    rows_of(extractors, utterance)
    assert rows_of(extractors, utterance)["audio"] is None
    (message,) = caplog.messages
    assert message.startswith("here: audio features are missing, here and wherever no vector comes")


@pytest.mark.parametrize("provenance", [{}, {"extraction": None}, {"extraction": {"visual": {}}}, None])
def test_a_run_whose_features_came_from_elsewhere_makes_none(provenance: dict[str, Any] | None) -> None:
    extractors = RunExtractors(WIDTHS, provenance)
    assert extractors.reads() == {}
    assert extractors.lacking({}, Utterance(text="hello", recording="x")) == ()
    assert rows_of(extractors, Utterance(text="hello")) == {"text": None, "audio": None}
    with pytest.raises(ExtractionError, match=r"must be of a modality .* dclf extracted \(none\), is of 'text'"):
        extractors.locate({"text": "folder"})


def test_an_encoder_that_has_gone_or_changed_is_named(provenance: dict[str, Any], folder: Path) -> None:
    identity = provenance["extraction"]["text"]["identity"]
    encoder(folder, "sweet")
    with pytest.raises(ExtractionError) as error:
        rows_of(RunExtractors(WIDTHS, provenance), Utterance(text="hello"))
    assert f"with the encoder in {folder}, of identity {identity}: the salt in {folder} is another" in str(error.value)
    assert f"--encoder text=FOLDER, encoders= in Python, {environment_name('text')} behind MLflow" in str(error.value)
    shutil.rmtree(folder)
    with pytest.raises(ExtractionError, match=f"text features cannot be made .* of identity {identity}: .*must hold"):
        rows_of(RunExtractors(WIDTHS, provenance), Utterance(text="hello"))


def test_an_encoder_may_lie_elsewhere_but_must_be_the_same(
    provenance: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    extractors = RunExtractors(WIDTHS, provenance)
    vector = rows_of(extractors, Utterance(text="hello"))["text"]
    moved, other = folder.rename(tmp_path / "moved"), encoder(tmp_path / "other", "sweet")
    extractors = RunExtractors(WIDTHS, provenance)
    with pytest.raises(ExtractionError, match=f"the encoder of text: the encoder in {other} must be the one that made"):
        extractors.locate({"text": str(other)})
    extractors.locate({"text": str(moved)})
    assert np.array_equal(rows_of(extractors, Utterance(text="hello"))["text"], vector)


def test_a_path_that_the_system_refuses_is_a_missing_row(provenance: dict[str, Any], caplog: Logged) -> None:
    name = "x" * 300
    assert rows_of(RunExtractors(WIDTHS, provenance), Utterance(recording=name))["audio"] is None
    assert caplog.messages == [f"here: audio features are missing: {name} cannot be read (File name too long)"]


def test_rows_are_checked_as_in_an_extraction(
    provenance: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: Logged
) -> None:
    extractors, hello = RunExtractors(WIDTHS, provenance), Utterance(text="hello")
    monkeypatch.setattr(Hashes, "rows", lambda *_: [np.full(3, np.nan, np.float32)])
    assert rows_of(extractors, hello)["text"] is None
    assert caplog.messages == ["here: text features are missing: its row has numbers that are not finite"]
    monkeypatch.setattr(Hashes, "rows", lambda *_: [])
    with pytest.raises(ExtractionError, match=r"text features cannot be made .* must return a row for each of 1 utter"):
        rows_of(extractors, hello)
    monkeypatch.setattr(Hashes, "rows", lambda *_: [np.zeros(3)])
    with pytest.raises(ExtractionError, match=r"rows must be float32 \[3\], are float64 \[3\]"):
        rows_of(extractors, hello)


def test_rows_of_another_width_are_refused(provenance: dict[str, Any]) -> None:
    with pytest.raises(ExtractionError, match="its rows must have 4 numbers, have 3"):
        rows_of(RunExtractors({"text": 4}, provenance), Utterance(text="hello"))


def test_an_extractor_that_is_not_installed_hinders_nobody_who_needs_none(caplog: Logged) -> None:
    extractors = RunExtractors(WIDTHS, {"extraction": {"text": {"extractor": "nowhere:Settings"}}})
    assert rows_of(extractors, Utterance(text="hello"), text=[1.0] * 3)["text"] == [1.0] * 3
    with pytest.raises(ExtensionError, match="'nowhere:Settings' cannot be imported"):
        rows_of(extractors, Utterance(text="hello"))


def test_only_an_encoder_of_files_can_lie_elsewhere() -> None:
    with pytest.raises(ExtractionError, match="reads no encoder's files, is told that they lie in elsewhere"):
        HashedWords(model="", width=1).located("elsewhere")


def test_a_folder_has_no_revision(folder: Path) -> None:
    of_hub = replace(HashedWords(model=str(folder), width=1).resolve(), revision="abc")
    assert of_hub.located(str(folder)).revision == ""


@pytest.fixture(autouse=True)
def all_messages(caplog: Logged) -> None:
    caplog.set_level(logging.INFO)
