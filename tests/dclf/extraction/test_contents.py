"""Hashes of what is read: equal contents have equal ones, wherever they lie, and others have others."""

from __future__ import annotations

from pathlib import Path

from dclf.extraction import Unreadable, Utterance
from dclf.extraction.contents import Key, recording_digests, recording_keys, text_keys


def keys_of(*parts: tuple[Path, float | None, float | None]) -> list[Key]:
    utterances = [Utterance(recording=str(path), start=start, end=end) for path, start, end in parts]
    return recording_keys(utterances, recording_digests([u.recording for u in utterances], lambda: None))


def test_words_have_keys_and_silence_has_none() -> None:
    one, same, other, empty, blank = text_keys([Utterance(text=t) for t in ("Oh.", "Oh.", "oh.", "", " \t")])
    assert one == same != other
    assert empty == blank == Unreadable("it has no words")


def test_a_recording_is_its_bytes_and_the_part_of_it(tmp_path: Path) -> None:
    one, copy, other = tmp_path / "one.wav", tmp_path / "copy.wav", tmp_path / "other.wav"
    one.write_bytes(b"sound")
    copy.write_bytes(b"sound")
    other.write_bytes(b"noise")
    keys = keys_of(
        (one, None, None), (copy, None, None), (other, None, None), (one, 0.5, None), (one, 0.5, 2), (one, 1, 2)
    )
    assert keys[0] == keys[1]
    assert len({*keys}) == 5
    assert keys_of((copy, 0.5, 2.0)) == [keys[4]]


def test_a_recording_that_cannot_be_read_is_told_and_may_be_there_next_time(tmp_path: Path) -> None:
    (absent,) = keys_of((tmp_path / "absent.wav", None, None))
    (folder,) = keys_of((tmp_path, 1.0, None))
    assert absent == Unreadable(f"{tmp_path}/absent.wav is not there", lasting=False)
    assert folder == Unreadable(f"{tmp_path} cannot be read (Is a directory)", lasting=False)
    assert recording_keys([Utterance(text="Oh.")], {}) == [Unreadable("it has no recording")]


def test_a_recording_of_many_utterances_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(b"sound")
    read: list[None] = []
    assert len(recording_digests([str(tmp_path / "talk.wav")] * 50, lambda: read.append(None))) == 1
    assert len(read) == 1
