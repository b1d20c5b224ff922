"""Recordings, read by PyAV: the sound of a file or of a segment of it, and one plain line for whatever is broken.

T    samples

Second 0 is a recording's own beginning, whatever its timestamps start with. A segment goes from one sample to another,
each the nearest to its second, so that reading it equals cutting the file there; with a codec that is inexact itself,
such as AAC, only nearly.
"""

from __future__ import annotations

import math
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from dclf.extraction.contract import Utterance
from dclf.extraction.packages import require

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container.input import InputContainer

Sound = NDArray[np.float32]

SLACK_S = 0.5
"""How much sound may be missing from a segment: tables round, and tracks end before their pictures do."""
_RUN_UP_S = 1.0
"""How long before a segment decoding begins: codecs such as MP3 need what came before."""
_GAP_S = 0.1
"""How far timestamps may differ from the count of samples before they are believed."""
_EXACT = frozenset(("wav", "aiff", "flac", "mov,mp4,m4a,3gp,3g2,mj2"))
"""FFmpeg's names of the formats whose headers tell how long a track is, where others let it be estimated."""
_STREAMED = 0x7FFF_0000
"""Sizes in a WAV's header from here on were written before the size was known."""


class BrokenRecording(ValueError):  # noqa: N818 - a recording is broken, the reader is not
    """There is nothing to read in a recording, or in the segment of it.

    Attributes:
        reason: one plain line, which does not name the file.
        lasting: whether it is a property of the content; a file that is not there may come.
    """

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


@contextmanager
def opened(recording: str) -> Iterator[InputContainer]:
    """Open a file for decoding; what FFmpeg says of it meanwhile is kept from the terminal.

    A playlist is not followed into the network: FFmpeg does so only from the network.

    Args:
        recording: path of a sound or video file.

    Raises:
        BrokenRecording: the file is absent, empty, cut short or not for FFmpeg; also for what fails in decoding.
    """
    require("reading recordings", ["av"])
    import av  # noqa: PLC0415 - of the extra

    path = Path(recording).absolute()
    level = av.logging.get_level()
    av.logging.set_level(None)
    try:
        _check_file(path)
        with av.open(str(path), metadata_errors="replace") as container:
            yield container
    except av.FFmpegError as error:
        reason = f"it is damaged, or of no format that FFmpeg reads: {error.strerror}"
        raise BrokenRecording(reason, lasting=not isinstance(error, OSError)) from error
    except OSError as error:
        raise BrokenRecording(f"it cannot be read: {error.strerror or error}", lasting=False) from error
    finally:
        av.logging.set_level(level)


def beginning(container: InputContainer) -> float:
    """The timestamp in seconds of a recording's second 0."""
    return (container.start_time or 0) / 1_000_000


def segment_bounds(start: float | None, end: float | None, longest: float = math.inf) -> tuple[float, float]:
    """Seconds at which a segment begins and ends, the latter infinite for the recording's end.

    Raises:
        BrokenRecording: it is empty, longer than ``longest`` seconds, or lies before the recording.
    """
    first, last = start or 0.0, math.inf if end is None else end
    if not 0 <= first < math.inf or math.isnan(last):
        raise BrokenRecording(f"a segment must begin at second 0 or later, this goes from {first:g} to {last:g}")
    if last <= first:
        raise BrokenRecording(f"the segment from second {first:g} to second {last:g} is empty")
    if end is not None and last - first > longest:
        raise BrokenRecording(_too_long(longest))
    return first, last


def sound(
    recording: str,
    start: float | None = None,
    end: float | None = None,
    rate: int | None = None,
    longest: float = math.inf,
) -> tuple[Sound, int]:
    """Read the sound of a recording; no more than the segment is held in memory.

    Args:
        recording: path of a sound or video file.
        start: second at which the segment begins; the recording's beginning where None.
        end: second at which it ends; the recording's end where None.
        rate: samples a second to resample to; as they are in the recording where None.
        longest: seconds that the segment may last.

    Returns:
        Samples [T] between -1 and 1, the mean of the channels, and their rate. Integers of n bits are divided by
        2^(n-1): those of 16 bits by 32768.

    Raises:
        BrokenRecording: the file is broken, has no sound track, or ends before the segment does.
    """
    first, last = segment_bounds(start, end, longest)
    with opened(recording) as container:
        samples, own_rate = _segment(container, first, last, longest)
    if not np.isfinite(samples).all():
        raise BrokenRecording("its sound has values that are no finite numbers")
    return (samples, own_rate) if rate in {None, own_rate} else (_resampled(samples, own_rate, rate), rate)


def sound_of(utterance: Utterance, rate: int | None, longest: float) -> tuple[Sound, int]:
    """Read the sound of an utterance, as ``sound`` does; one without a recording is a BrokenRecording too."""
    if not utterance.recording:
        raise BrokenRecording("there is no recording")
    return sound(utterance.recording, utterance.start, utterance.end, rate, longest)


def _segment(container: InputContainer, first: float, last: float, longest: float) -> tuple[Sound, int]:
    """Samples [T] of the segment at their own rate, and the rate."""
    stream = cast("AudioStream | None", container.streams.best("audio"))
    if stream is None:
        raise BrokenRecording("there is no sound track")
    stop = min(last, first + longest + SLACK_S)
    parts: list[Sound] = []
    rate, at, origin = 1, 0, 0
    for begin, frame in _frames(container, stream, first):
        rate, at = frame.sample_rate, begin + frame.samples
        low = max(_sample(first, rate) - begin, 0)
        high = min(_sample(stop, rate) - begin, frame.samples)
        if low < high:
            origin = origin if parts else begin + low
            parts.append(_mono(frame)[low:high])
        if at >= _sample(stop, rate):
            break
    if not parts:
        raise BrokenRecording(f"there is no sound at second {first:g} and after it")
    if last == math.inf and at > _sample(first + longest, rate):
        raise BrokenRecording(_too_long(longest))
    if at / rate < (whole := _announced_end(container, stream) if last == math.inf else last) - SLACK_S:
        raise BrokenRecording(f"its sound must go on to second {whole:.2f}, ends at second {at / rate:.2f}")
    samples = np.concatenate(parts)
    # A track may begin after its recording does; what is missing later was lost.
    absent = (min(at, _sample(stop, rate)) - (_sample(first, rate) if first else origin) - len(samples)) / rate
    if absent > SLACK_S:
        raise BrokenRecording(f"{absent:.1f} s of its sound are missing or damaged")
    return samples, rate


def _frames(container: InputContainer, stream: AudioStream, first: float) -> Iterator[tuple[int, AudioFrame]]:
    """Decoded frames from before ``first`` on, each behind the number of its first sample in the recording.

    Samples are counted from the first frame on, as the timestamps of some formats are whole milliseconds. A gap in them
    is a gap in the count.
    """
    import av  # noqa: PLC0415

    zero = beginning(container)
    if first > _RUN_UP_S and stream.time_base is not None:
        with suppress(av.FFmpegError):  # what cannot be sought is read from its beginning
            container.seek(math.floor((first - _RUN_UP_S + zero) / stream.time_base), stream=stream)
    at = None
    for frame in container.decode(stream):
        stamped = at if frame.time is None else round((frame.time - zero) * frame.sample_rate)
        if at is None or abs((stamped or 0) - at) > _GAP_S * frame.sample_rate:
            at = stamped or 0
        yield at, frame
        at += frame.samples


def _mono(frame: AudioFrame) -> Sound:
    """Samples [T] of a decoded frame: the mean of its channels, integers divided by what they can reach."""
    values: NDArray[Any] = frame.to_ndarray()
    channels = values if frame.format.is_planar else values.reshape(frame.samples, -1).T
    if channels.dtype.kind == "f":
        scaled: Sound = channels.astype(np.float32)
    else:
        middle = 128 if channels.dtype.kind == "u" else 0
        scaled = ((channels - float(middle)) / 2.0 ** (8 * channels.itemsize - 1)).astype(np.float32)
    mean: Sound = scaled.mean(axis=0, dtype=np.float32)
    return mean


def _resampled(samples: Sound, own_rate: int, rate: int) -> Sound:
    import av  # noqa: PLC0415

    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate = own_rate
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
    return np.concatenate([part.to_ndarray()[0] for chunk in (frame, None) for part in resampler.resample(chunk)])


def _sample(second: float, rate: int) -> int:
    """The number of the sample that is nearest to a second."""
    return sys.maxsize if second == math.inf else round(second * rate)


def _announced_end(container: InputContainer, stream: AudioStream) -> float:
    """The second at which a sound track ends by its file's header; 0 where the header does not say so exactly."""
    if container.format.name not in _EXACT or stream.duration is None or stream.time_base is None:
        return 0.0
    return float(stream.duration * stream.time_base)


def _check_file(path: Path) -> None:
    """Raise BrokenRecording for what FFmpeg would not tell, and OSError for what cannot be opened."""
    if not path.is_file():
        raise BrokenRecording(f"there is no file {path}", lasting=False)
    with path.open("rb") as file:
        head, size = file.read(12), os.fstat(file.fileno()).st_size
    if not size:
        raise BrokenRecording("the file is empty")
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        (rest,) = struct.unpack("<I", head[4:8])
        if size - 8 < rest < _STREAMED:
            raise BrokenRecording(f"the file is cut short: it must have {rest + 8:,} bytes by its header, has {size:,}")


def _too_long(longest: float) -> str:
    return f"it lasts longer than the {longest:g} seconds that an utterance may"
