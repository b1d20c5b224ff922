"""Sound files that the tests write."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int16]


def read_wav(path: Path) -> tuple[Whole, int]:
    """Samples [T, channels] of 16 bits, by Python alone, and their rate."""
    with wave.open(str(path)) as file:
        data = file.readframes(file.getnframes())
        return np.frombuffer(data, np.int16).reshape(-1, file.getnchannels()), file.getframerate()


def write_wav(path: Path, samples: Whole, rate: int) -> Path:
    """Write samples [T] or [T, channels], by Python alone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1] if samples.ndim > 1 else 1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def write_video(path: Path, samples: Whole, rate: int, codec: str = "pcm_s16le", options: str = "") -> Path:
    """Write a grey picture of 10 frames a second with samples [T] as its sound track; without one where T is 0."""
    with av.open(str(path), "w", options={"movflags": options} if options else {}) as container:
        video = container.add_stream("mpeg4", rate=10, width=64, height=48, pix_fmt="yuv420p")
        audio = container.add_stream(codec, rate=rate, layout="mono") if len(samples) else None
        for number in range(max(len(samples) * 10 // rate, 5)):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 10)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            fifo = av.AudioFifo()
            fifo.write(frame)
            for part in [*fifo.read_many(1024), *([rest] if (rest := fifo.read()) else []), None]:
                container.mux(audio.encode(part))
    return path
