"""Frames of a recording: evenly spaced over a segment, decoded as a stream by PyAV.

H, W   height and width of a picture
t      seconds from the recording's second 0 (``dclf.extraction.media``)

A segment is cut into ``count`` equal parts, and the frame on show in the middle of each part is taken, once where
several parts see the same. Beside the decoder's own there are two frames in memory, whatever the recording's length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dclf.extraction.media import SLACK_S, BrokenRecording, beginning, opened, segment_bounds

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Picture = NDArray[np.uint8]

SEEK_S = 5.0
"""Frames further apart are sought. Encoders put a key frame every 10 s at the latest by default, so that a seek decodes
5 s on average."""
SEEK_MARGIN_S = 0.5
"""A seek goes so much before its target: frames that are shown just before a key frame may need the one before it."""
DEFAULT_RATE = 25


def read_frames(
    path: str, count: int, start: float | None = None, end: float | None = None, threads: int = 1
) -> Iterator[Picture]:
    """Yield ``count`` frames of a segment, in order; fewer where it has fewer.

    Args:
        path: of a file that FFmpeg reads; of several picture tracks the best is taken, and the cover of a song is none.
        count: at least 1.
        start: t of the segment's beginning; the recording's where None.
        end: t of its end; that of the pictures where None.
        threads: of the decoder.

    Yields:
        RGB uint8 [H, W, 3], upright where the recording says how it was held.

    Raises:
        BrokenRecording: the file is broken, has no pictures, or they end before the segment does.
    """
    done = 0
    with opened(path) as container:
        track = _Track(container, threads)
        moments = _moments(path, track, count, start, end)
        try:
            for picture in track.frames_at(moments):
                yield picture
                done += 1
        except _SeekError:
            with opened(path) as again:
                yield from islice(_Track(again, threads, seeks=False).frames_at(moments), done, None)


def _moments(path: str, track: _Track, count: int, start: float | None, end: float | None) -> list[float]:
    """The t of each frame that is wanted."""
    first, last = segment_bounds(start, end)
    # All packets are read only where the file's head tells nothing that will do.
    pictures = track.end or (track.latest_end if end is not None else None) or _last_packet_end(path)
    if first >= pictures:
        raise BrokenRecording(f"the segment begins at second {first:g}, its pictures end at second {pictures:.2f}")
    if end is not None and end > pictures + SLACK_S:
        raise BrokenRecording(_too_short(end, pictures))
    last = min(last, pictures)
    return [first + (part + 0.5) * (last - first) / count for part in range(count)]


def _too_short(needed: float, end: float) -> str:
    return f"its pictures must go on to second {needed:.2f}, end at second {end:.2f}"


def _last_packet_end(path: str) -> float:
    """The t at which the pictures end: all packets are read, and none is decoded."""
    import av  # noqa: PLC0415 - of the extra

    with opened(path) as container:
        track = _Track(container, threads=1)
        latest, packets = 0.0, 0
        with suppress(av.FFmpegError):  # where a recording breaks off, its pictures end
            for packet in container.demux(track.stream):
                packets += bool(packet.size)
                latest = max(latest, track.t(packet.pts, packet.duration or 0) or packets * track.spacing)
    return latest


class _SeekError(Exception):
    """The recording cannot be sought, or its index is wrong."""


class _Track:
    """The picture track of an open recording, watched forwards.

    Attributes:
        stream: PyAV's.
        spacing: seconds between frames, for those that have no time stamps.
        end: t of the end of the pictures; None where the file's head does not tell.
        latest_end: t of the end of the whole recording, before which they end; None where its head does not tell.
    """

    def __init__(self, container: InputContainer, threads: int, *, seeks: bool = True) -> None:
        from av.stream import Disposition  # noqa: PLC0415 - of the extra

        stream = cast("VideoStream | None", container.streams.best("video"))
        if stream is None or stream.disposition & Disposition.attached_pic:
            raise BrokenRecording("it has no picture track")
        self.stream = stream
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.thread_count = threads
        self.spacing = float(1 / (self.stream.guessed_rate or DEFAULT_RATE))
        self._container = container
        self._origin = beginning(container)
        timed = stream.start_time is not None
        self.end = self.t(stream.start_time, stream.duration) if timed and stream.duration is not None else None
        self.latest_end = container.duration / 1_000_000 if timed and container.duration is not None else None
        self._worth_seeking = SEEK_S if timed and seeks else float("inf")

    def t(self, stamp: int | None, later: int = 0) -> float | None:
        """Of a time stamp, and so many of its units later; None where there is no stamp."""
        if stamp is None or self.stream.time_base is None:
            return None
        return float((stamp + later) * self.stream.time_base) - self._origin

    def frames_at(self, moments: Sequence[float]) -> Iterator[Picture]:
        """The frame on show at each moment, in order, and once where it is the same.

        Raises:
            BrokenRecording: the pictures end before.
            _SeekError: seeking is of no use.
        """
        latest = None
        self._play()
        for moment in moments:
            self._go_to(moment)
            if self._current is None:
                raise BrokenRecording("none of its pictures can be decoded")
            if moment > self._shown_until() + SLACK_S:
                raise BrokenRecording(_too_short(moments[-1], self._shown_until()))
            if self._current[0] != latest:
                latest = self._current[0]
                yield _rgb(self._current[1])

    def _play(self) -> None:
        """Go on from where the container stands: nothing is on show yet."""
        self._frames = self._timed()
        self._current: tuple[float, VideoFrame] | None = None
        self._upcoming = next(self._frames, None)

    def _go_to(self, moment: float) -> None:
        """Put on show the last frame up to a moment; the first of all where there is none."""
        position = 0.0 if self._current is None else self._current[0]
        if moment - position > self._worth_seeking:
            self._seek(position, moment)
        while self._upcoming is not None and (self._current is None or self._upcoming[0] <= moment):
            self._current, self._upcoming = self._upcoming, next(self._frames, None)

    def _seek(self, position: float, moment: float) -> None:
        """Go to the key frame before a moment, and learn from one that is no gain how far apart they are."""
        import av  # noqa: PLC0415 - of the extra

        assert self.stream.time_base is not None
        try:
            stamp = int((moment - SEEK_MARGIN_S + self._origin) / self.stream.time_base)
            self._container.seek(stamp, stream=self.stream)
        except av.FFmpegError as error:
            raise _SeekError from error
        self._play()
        if self._upcoming is None or self._upcoming[0] > moment:
            raise _SeekError
        if (landed := self._upcoming[0]) <= position:
            self._worth_seeking = max(self._worth_seeking, 1.5 * (moment - landed))

    def _shown_until(self) -> float:
        """The t up to which the frame on show is there; the last one for its own time."""
        if self._upcoming is not None or self._current is None:
            return float("inf")
        t, frame = self._current
        return t + max(float((frame.duration or 0) * (self.stream.time_base or 0)), self.spacing)

    def _timed(self) -> Iterator[tuple[float, VideoFrame]]:
        """All frames from here on, each with its t."""
        for place, frame in enumerate(self._decoded()):
            t = self.t(frame.pts)
            yield place * self.spacing if t is None else t, frame

    def _decoded(self) -> Iterator[VideoFrame]:
        """All frames from here on but those that are damaged."""
        import av  # noqa: PLC0415 - of the extra

        with suppress(av.FFmpegError):  # a recording that breaks off has the frames before
            for packet in self._container.demux(self.stream):
                with suppress(av.FFmpegError):  # and one with a damaged packet those around it
                    yield from (frame for frame in packet.decode() if not frame.is_corrupt)


def _rgb(frame: VideoFrame) -> Picture:
    """A frame as an array, turned as its display matrix says (degrees counterclockwise)."""
    picture = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90) % 4))
