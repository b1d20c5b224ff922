"""The cache of rows: what is read is what was written, whatever cut a file off, whoever else writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclf.extraction import ExtractionError, Row, Unreadable
from dclf.extraction.cache import SETTINGS, CachedRows, FeatureCache, require_folder
from tests.dclf.extraction.letters import LetterSettings

SETTINGS_OF_LETTERS = LetterSettings().resolve()
BATCHES = [
    {"a": np.arange(3, dtype=np.float32), "b": Unreadable("it is silent")},
    {"c": np.full(3, 7, dtype=np.float32)},
    {"d": Unreadable("it is dark"), "e": -np.arange(3, dtype=np.float32), "f": np.ones(3, dtype=np.float32)},
]


def write(cache: FeatureCache, batches: list[dict[str, Row]]) -> None:
    with cache.writer() as writer:
        for batch in batches:
            writer.add(list(batch), list(batch.values()))


def same(row: Row, expected: Row) -> bool:
    if isinstance(row, Unreadable) or isinstance(expected, Unreadable):
        return row == expected
    return row.dtype == np.float32 and np.array_equal(row, expected)


def holds(rows: CachedRows, batches: list[dict[str, Row]]) -> bool:
    content = {key: row for batch in batches for key, row in batch.items()}
    return len(rows) == len(content) and all(same(rows.row(key), row) for key, row in content.items())


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path, SETTINGS_OF_LETTERS)


def test_what_is_read_is_what_was_written(cache: FeatureCache) -> None:
    write(cache, BATCHES)
    rows = cache.read()
    assert holds(rows, BATCHES)
    assert "a" in rows
    assert "z" not in rows


def test_rows_are_there_before_the_file_is_ended(cache: FeatureCache) -> None:
    with cache.writer() as writer:
        for number, batch in enumerate(BATCHES):
            writer.add(list(batch), list(batch.values()))
            assert holds(cache.read(), BATCHES[: number + 1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int]]:
    """A file's bytes, and how many there were after each batch."""
    cache, sizes = FeatureCache(tmp_path_factory.mktemp("whole"), SETTINGS_OF_LETTERS), []
    with cache.writer() as writer:
        for batch in BATCHES:
            writer.add(list(batch), list(batch.values()))
            (file,) = cache.folder.glob("*.arrows")
            sizes.append(file.stat().st_size)
    return file.read_bytes(), sizes


@given(data=st.data())
def test_a_file_that_was_cut_off_keeps_its_whole_batches(
    data: st.DataObject, whole: tuple[bytes, list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content, sizes = whole
    length = data.draw(st.integers(0, len(content)))
    file = tmp_path_factory.mktemp("torn") / "one.arrows"
    file.write_bytes(content[:length])
    assert holds(CachedRows([file]), BATCHES[: sum(size <= length for size in sizes)])


def test_two_writers_keep_what_both_wrote(cache: FeatureCache) -> None:
    with cache.writer() as one, cache.writer() as other:
        for writer, batch in zip((one, other, one), BATCHES, strict=True):
            writer.add(list(batch), list(batch.values()))
    assert len(list(cache.folder.glob("*.arrows"))) == 2
    assert holds(cache.read(), BATCHES)


def test_what_a_second_try_may_read_is_not_kept(cache: FeatureCache) -> None:
    with cache.writer() as writer:
        writer.add(["a"], [Unreadable("the disk was away", lasting=False)])
        assert not list(cache.folder.glob("*.arrows"))
        writer.add(["a", "b"], [Unreadable("the disk was away", lasting=False), Unreadable("it is silent")])
    assert holds(cache.read(), [{"b": Unreadable("it is silent")}])


def test_a_reason_without_words_is_computed_anew(cache: FeatureCache) -> None:
    write(cache, [{"a": Unreadable(""), "b": Unreadable("it is silent")}])
    assert holds(cache.read(), [{"b": Unreadable("it is silent")}])


def test_other_settings_have_a_folder_of_their_own(cache: FeatureCache, tmp_path: Path) -> None:
    write(cache, BATCHES)
    other = FeatureCache(tmp_path, replace(SETTINGS_OF_LETTERS, width=5))
    assert len(other.read()) == 0
    assert '"width": 5' in (other.folder / SETTINGS).read_text()


@pytest.mark.parametrize("place", ["s3://bucket/cache", "file:///tmp/cache"])
def test_a_uri_is_no_folder(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExtractionError, match=f"{place}: the cache must be a folder of this machine, is a URI"):
        require_folder(place)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExtractionError, match=r"the cache must be a folder that can be written .*--cache"):
        FeatureCache(tmp_path / "file" / "inside", SETTINGS_OF_LETTERS)
