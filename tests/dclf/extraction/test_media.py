"""Recordings are read to the sample, and whatever is broken says so in one plain line."""

import logging
import socket
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from dclf.extraction.contract import Utterance
from dclf.extraction.media import BrokenRecording, sound, sound_of
from tests.dclf.extraction.sounds import read_wav, write_video, write_wav

RATE = 8000


def tone(seconds: float, rate: int = RATE, hertz: float = 440) -> np.ndarray:
    return (20000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


class TestSamples:
    def test_those_of_16_bits_are_divided_by_32768(self, speech: dict[str, Path]) -> None:
        whole, own_rate = read_wav(speech["question"])
        samples, rate = sound(str(speech["question"]))
        assert rate == own_rate
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, whole[:, 0] / np.float32(32768))

    @pytest.mark.parametrize(
        ("subtype", "suffix"),
        [
            ("PCM_U8", "wav"),
            ("PCM_24", "wav"),
            ("PCM_32", "wav"),
            ("FLOAT", "wav"),
            ("DOUBLE", "wav"),
            ("PCM_16", "flac"),
        ],
    )
    def test_channels_of_every_kind_are_averaged(self, tmp_path: Path, subtype: str, suffix: str) -> None:
        path = tmp_path / f"stereo.{suffix}"
        both = np.random.default_rng(0).uniform(-1, 1, (5000, 2))
        soundfile.write(path, both, RATE, subtype=subtype)
        samples, _ = sound(str(path))
        np.testing.assert_allclose(samples, soundfile.read(path)[0].mean(axis=1), atol=1e-7)

    @pytest.mark.parametrize("rate", [16000, 48000, 5512])
    def test_resampling_keeps_what_is_heard(self, tmp_path: Path, rate: int) -> None:
        path = write_wav(tmp_path / "tone.wav", tone(1), RATE)
        samples, sample_rate = sound(str(path), rate=rate)
        assert sample_rate == rate
        assert abs(len(samples) - rate) <= 2
        middle = slice(rate // 4, rate // 2)
        expected = 20000 / 32768 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / rate)
        np.testing.assert_allclose(samples[middle], expected[middle], atol=2e-3)


class TestSegments:
    @pytest.mark.parametrize(
        ("start", "end"), [(0, 1), (None, 0.5), (1.2, 2.7), (7.3333, 9.1), (9.5, None), (0.01, 0.02)]
    )
    def test_one_equals_the_file_cut_there(
        self, tmp_path: Path, speech: dict[str, Path], start: float | None, end: float | None
    ) -> None:
        whole, rate = read_wav(speech["monologue"])
        cut = whole[round((start or 0) * rate) : None if end is None else round(end * rate)]
        path = write_wav(tmp_path / "cut.wav", cut, rate)
        for asked_rate in (None, 16000):
            segment, _ = sound(str(speech["monologue"]), start, end, asked_rate)
            np.testing.assert_array_equal(segment, sound(str(path), rate=asked_rate)[0])

    @pytest.mark.parametrize("suffix", ["mov", "mkv"])
    def test_a_video_has_the_sound_of_its_wav(self, tmp_path: Path, speech: dict[str, Path], suffix: str) -> None:
        whole, rate = read_wav(speech["monologue"])
        video = write_video(tmp_path / f"clip.{suffix}", whole[:, 0], rate)
        np.testing.assert_array_equal(sound(str(video))[0], sound(str(speech["monologue"]))[0])

    def test_a_segment_of_a_video_is_exact(self, tmp_path: Path, speech: dict[str, Path]) -> None:
        whole, rate = read_wav(speech["monologue"])
        video = write_video(tmp_path / "clip.mov", whole[:, 0], rate)
        for start, end in [(0.3, 1.5), (4.21, 6.5)]:
            np.testing.assert_array_equal(
                sound(str(video), start, end)[0], sound(str(speech["monologue"]), start, end)[0]
            )

    @pytest.mark.parametrize(("start", "end"), [(None, None), (5.05, 7.0)])
    def test_a_codec_that_loses_comes_near(
        self, tmp_path: Path, speech: dict[str, Path], start: float | None, end: float | None
    ) -> None:
        whole, rate = read_wav(speech["monologue"])
        video = write_video(tmp_path / "clip.mp4", whole[:, 0], rate, "aac")
        coded = sound(str(video), start, end)[0].astype(float)
        exact = sound(str(speech["monologue"]), start, end)[0].astype(float)
        size = min(len(coded), len(exact))
        assert abs(len(coded) - len(exact)) <= 2048  # AAC fills its last block
        assert np.corrcoef(coded[:size], exact[:size])[0, 1] > 0.98

    @pytest.mark.parametrize(("subtype", "suffix"), [("MPEG_LAYER_III", "mp3"), ("VORBIS", "ogg")])
    def test_a_segment_is_decoded_as_the_whole_is(
        self, tmp_path: Path, speech: dict[str, Path], subtype: str, suffix: str
    ) -> None:
        path = tmp_path / f"clip.{suffix}"
        samples, rate = soundfile.read(speech["monologue"])
        soundfile.write(path, samples, rate, subtype=subtype)
        whole, _ = sound(str(path))
        segment = sound(str(path), 5.05, 7)[0]
        np.testing.assert_allclose(segment, whole[round(5.05 * rate) : 7 * rate], atol=1e-6)

    def test_no_more_than_the_segment_is_held(self, tmp_path: Path) -> None:
        path = write_wav(tmp_path / "long.wav", np.tile(tone(1), 1200), RATE)
        sound(str(path), 0, 1)
        tracemalloc.start()
        segment, _ = sound(str(path), 1100, 1110)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(segment) == 10 * RATE
        assert peak < 4 * segment.nbytes

    def test_half_a_second_beyond_the_end_is_forgiven(self, tmp_path: Path) -> None:
        path = write_wav(tmp_path / "tone.wav", tone(2), RATE)
        assert len(sound(str(path), 1, 2.4)[0]) == RATE


class TestBroken:
    def reason(self, path: Path, start: float | None = None, end: float | None = None, longest: float = 60) -> str:
        with pytest.raises(BrokenRecording) as error:
            sound(str(path), start, end, longest=longest)
        assert error.value.lasting
        assert "\n" not in error.value.reason
        return error.value.reason

    def test_a_file_that_is_absent_may_come(self, tmp_path: Path) -> None:
        with pytest.raises(BrokenRecording, match=r"there is no file .*dia110_utt7\.mp4") as error:
            sound(str(tmp_path / "dia110_utt7.mp4"))
        assert not error.value.lasting

    def test_one_that_may_not_be_read_may_be_later(self, tmp_path: Path) -> None:
        with pytest.raises(BrokenRecording, match="there is no file") as error:
            sound(str(tmp_path))
        assert not error.value.lasting

    def test_an_utterance_without_a_recording(self) -> None:
        with pytest.raises(BrokenRecording, match="there is no recording"):
            sound_of(Utterance(text="only words"), None, 60)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "the file is empty"),
            (bytes(range(256)) * 50, "it is damaged, or of no format that FFmpeg reads"),
            (b"file not here\n" * 100, "it is damaged, or of no format that FFmpeg reads"),
        ],
    )
    def test_what_is_no_recording(self, tmp_path: Path, content: bytes, reason: str) -> None:
        path = tmp_path / "clip.mp4"
        path.write_bytes(content)
        assert self.reason(path).startswith(reason)

    def test_a_wav_that_was_cut_short(self, tmp_path: Path) -> None:
        path = write_wav(tmp_path / "tone.wav", tone(2), RATE)
        path.write_bytes(path.read_bytes()[:20000])
        assert self.reason(path) == "the file is cut short: it must have 32,044 bytes by its header, has 20,000"

    def test_a_wav_of_unknown_length_is_read(self, tmp_path: Path) -> None:
        path = write_wav(tmp_path / "tone.wav", tone(2), RATE)
        data = bytearray(path.read_bytes())
        data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
        path.write_bytes(data)
        assert len(sound(str(path))[0]) == 2 * RATE

    def test_a_wav_without_samples(self, tmp_path: Path) -> None:
        path = write_wav(tmp_path / "silent.wav", tone(0), RATE)
        assert self.reason(path) == "there is no sound at second 0 and after it"

    def test_a_video_that_was_cut_short(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "clip.mp4", tone(4, 16000), 16000, "aac")
        path.write_bytes(path.read_bytes()[:-3000])
        assert self.reason(path).startswith("it is damaged, or of no format that FFmpeg reads")

    def test_a_video_whose_index_promises_more(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "clip.mov", tone(4), RATE, options="faststart")
        path.write_bytes(path.read_bytes()[:-30000])
        assert self.reason(path).startswith("its sound must go on to second 4.00, ends at second 2.1")
        assert len(sound(str(path), 0.5, 1.5)[0]) == RATE

    def test_what_is_damaged_elsewhere_spoils_no_segment(self, tmp_path: Path, speech: dict[str, Path]) -> None:
        whole, rate = read_wav(speech["monologue"])
        path = write_video(tmp_path / "clip.mp4", whole[:, 0], rate, "aac")
        good = [sound(str(path), start, start + 1)[0] for start in (0, 9.5)]
        data = path.read_bytes()
        third = len(data) // 3
        path.write_bytes(data[:third] + bytes(third // 3) + data[third + third // 3 :])
        assert self.reason(path).startswith("it is damaged, or of no format that FFmpeg reads")
        np.testing.assert_array_equal(sound(str(path), 0, 1)[0], good[0])
        assert np.corrcoef(sound(str(path), 9.5, 10.5)[0], good[1])[0, 1] > 0.999

    def test_a_hole_is_not_passed_over(self, tmp_path: Path, speech: dict[str, Path]) -> None:
        path = tmp_path / "clip.flac"
        soundfile.write(path, *soundfile.read(speech["monologue"]))
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 5] + bytes(len(data) // 5) + data[2 * (len(data) // 5) :])
        assert self.reason(path).endswith(" s of its sound are missing or damaged")
        assert self.reason(path, 2, 6).endswith(" s of its sound are missing or damaged")
        np.testing.assert_array_equal(sound(str(path), 9, 10)[0], sound(str(speech["monologue"]), 9, 10)[0])

    def test_a_video_without_sound(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "clip.mp4", tone(0), RATE)
        assert self.reason(path) == "there is no sound track"

    def test_numbers_that_are_not_finite(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "x.wav", np.array([0, np.nan, 1.0]), RATE, subtype="FLOAT")
        assert self.reason(tmp_path / "x.wav") == "its sound has values that are no finite numbers"

    @pytest.mark.parametrize(
        ("start", "end", "reason"),
        [
            (3, None, "there is no sound at second 3 and after it"),
            (3, 4, "there is no sound at second 3 and after it"),
            (1, 3, "its sound must go on to second 3.00, ends at second 2.00"),
            (1, 1, "the segment from second 1 to second 1 is empty"),
            (1.5, 1, "the segment from second 1.5 to second 1 is empty"),
            (-1, 1, "a segment must begin at second 0 or later, this goes from -1 to 1"),
            (float("nan"), 1, "a segment must begin at second 0 or later, this goes from nan to 1"),
        ],
    )
    def test_a_segment_that_is_not_there(self, tmp_path: Path, start: float, end: float | None, reason: str) -> None:
        assert self.reason(write_wav(tmp_path / "tone.wav", tone(2), RATE), start, end) == reason

    @pytest.mark.parametrize(("start", "end"), [(None, None), (0.1, None), (0, 1.8)])
    def test_one_longer_than_an_utterance(self, tmp_path: Path, start: float | None, end: float | None) -> None:
        path = write_wav(tmp_path / "tone.wav", tone(2), RATE)
        assert self.reason(path, start, end, 1.5) == "it lasts longer than the 1.5 seconds that an utterance may"
        assert len(sound(str(path), longest=2)[0]) == 2 * RATE

    def test_a_playlist_is_not_followed_into_the_network(self, tmp_path: Path) -> None:
        path = tmp_path / "list.m3u8"
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
            path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{address}\n#EXT-X-ENDLIST\n")
            assert self.reason(path)
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.accept()

    def test_ffmpeg_says_nothing(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "clip.mp3"
        path.write_bytes(bytes(range(255, -1, -1)) * 400)
        before = av.logging.get_level()
        av.logging.set_level(av.logging.VERBOSE)
        try:
            with caplog.at_level(logging.DEBUG):
                self.reason(path)
            assert av.logging.get_level() == av.logging.VERBOSE
        finally:
            av.logging.set_level(before)
        assert not caplog.records
        assert capfd.readouterr() == ("", "")
