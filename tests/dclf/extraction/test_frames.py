"""Frames of recordings: the right ones of drawn videos, few or many, near or far, and a line for every broken file."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dclf.extraction.frames import read_frames
from dclf.extraction.media import BrokenRecording
from tests.dclf.extraction.drawn_videos import Picture, middles, numbered, numbers, write_video

IO = Path("/proc/self/io")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds in containers that tell the pictures' end, do not, and have no times at all."""
    folder = tmp_path_factory.mktemp("videos")
    for suffix in ("mp4", "mkv", "h264"):
        write_video(folder / f"clip.{suffix}", numbered(75))
    return folder


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "h264"])
@pytest.mark.parametrize(
    ("count", "segment", "expected"),
    [
        (6, (None, None), middles(6, 0, 3)),
        (4, (1.0, 2.0), middles(4, 1, 2)),
        (3, (2.0, None), middles(3, 2, 3)),
        (1, (None, 1.0), middles(1, 0, 1)),
        (16, (1.0, 1.2), [*range(25, 30)]),
        (1000, (None, None), [*range(75)]),
        (5, (2.0, 3.4), middles(5, 2, 3)),
    ],
    ids=["whole", "segment", "tail", "one", "few frames", "more than there are", "rounded end"],
)
def test_frames_are_evenly_spaced(
    folder: Path, suffix: str, count: int, segment: tuple[float | None, float | None], expected: list[int]
) -> None:
    assert numbers(read_frames(str(folder / f"clip.{suffix}"), count, *segment)) == expected


@pytest.mark.parametrize("key_frames", [5, 50, 1000])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "h264"])
def test_frames_far_apart_are_sought(tmp_path: Path, suffix: str, key_frames: int) -> None:
    clip = str(write_video(tmp_path / f"clip.{suffix}", numbered(600), rate=5, key_frames=key_frames))
    for count in (9, 13):
        assert numbers(read_frames(clip, count)) == middles(count, 0, 120, rate=5)
    assert numbers(read_frames(clip, 4, 100, 102)) == middles(4, 100, 102, rate=5)


@pytest.mark.skipif(not IO.exists(), reason="the system does not count what a process reads")
def test_little_is_read_of_a_long_recording(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", noise(300), rate=2, key_frames=4)
    before = bytes_read()
    assert len([*read_frames(str(clip), 4, 140, 142)]) == 4
    assert bytes_read() - before < clip.stat().st_size / 4


def bytes_read() -> int:
    return int(IO.read_text().split()[1])


def test_frames_stand_upright(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", numbered(3), rotation=90)
    (picture,) = read_frames(str(clip), 1)
    assert picture.shape == (48, 32, 3)
    np.testing.assert_array_equal(picture, np.rot90(numbered(3)[1]))


def test_a_title_in_another_encoding_is_no_damage(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", numbered(3), title="Caf# Central Perk")
    clip.write_bytes(clip.read_bytes().replace(b"Caf#", "Café".encode("latin-1")))
    assert numbers(read_frames(str(clip), 3)) == [0, 1, 2]


def noise(count: int) -> list[Picture]:
    """Frames that hardly shrink."""
    return [*np.random.default_rng(0).integers(256, size=(count, 32, 48, 3), dtype=np.uint8)]


def test_damaged_frames_are_left_out(tmp_path: Path) -> None:
    pictures = noise(20)
    clip = write_video(tmp_path / "clip.mp4", pictures, key_frames=1)
    content = bytearray(clip.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    clip.write_bytes(content)
    frames = [*read_frames(str(clip), 20)]
    assert 15 <= len(frames) < 20
    originals = [picture.tobytes() for picture in pictures]
    places = [originals.index(picture.tobytes()) for picture in frames]
    assert places == sorted(places)


def write_empty(path: Path) -> Path:
    path.touch()
    return path


def write_text(path: Path) -> Path:
    path.write_text("Oh, please, if people do not get it, it is not a joke.\n" * 100)
    return path


def write_sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    return path


def write_half(path: Path) -> Path:
    content = write_video(path, noise(50)).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def write_two_seconds(path: Path) -> Path:
    return write_video(path, numbered(50))


BROKEN: dict[str, tuple[Callable[[Path], Path], str, tuple[float, ...], str]] = {
    "absent": (Path, "clip.mp4", (), "there is no file"),
    "empty": (write_empty, "clip.mp4", (), "empty"),
    "text": (write_text, "clip.mp4", (), "damaged, or of no format"),
    "sound": (write_sound, "sound.wav", (), "it has no picture track"),
    "cut before its index": (write_half, "clip.mp4", (), "damaged, or of no format"),
    "cut": (write_half, "clip.mkv", (0.0, 2.0), r"must go on to second 1\.88, end at second 0\.9"),
    "late segment": (write_two_seconds, "clip.mp4", (2.5, 3.0), r"begins at second 2\.5, .* end at second 2\.00"),
    "long segment": (write_two_seconds, "clip.mkv", (1.0, 9.0), r"must go on to second 9\.00, end at second 2\.00"),
    "empty segment": (write_two_seconds, "clip.mp4", (1.0, 1.0), "empty"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_gives_one_plain_line(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    write, name, segment, message = BROKEN[kind]
    with pytest.raises(BrokenRecording, match=message) as error:
        [*read_frames(str(write(tmp_path / name)), 8, *segment)]
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")
