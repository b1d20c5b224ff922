"""Videos that tests draw, kept without loss: every frame is painted with its own number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import numpy as np
from matplotlib.cbook import get_sample_data
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]


def write_video(
    path: Path, pictures: Iterable[Picture], rate: int = 25, key_frames: int = 250, rotation: int = 0
) -> Path:
    """A file of pictures, RGB [H, W, 3], whose frames are bit by bit those pictures.

    Args:
        path: to write; its suffix names the container.
        pictures: the frames.
        rate: of frames a second.
        key_frames: how many frames each key frame is before the next.
        rotation: degrees counterclockwise by which a player turns them.
    """
    with av.open(str(path), "w") as container:
        options = {"qp": "0", "sc_threshold": "0"}
        stream = container.add_stream("libx264rgb", rate=rate, options=options)
        stream.pix_fmt, stream.codec_context.gop_size = "rgb24", key_frames
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def numbered(count: int, height: int = 32, width: int = 48) -> list[Picture]:
    """Frames that tell their number, each with a white corner at the top left."""
    pictures = []
    for number in range(count):
        picture = np.full((height, width, 3), (number % 256, number // 256, 99), dtype=np.uint8)
        picture[: height // 4, : width // 4] = 255
        pictures.append(picture)
    return pictures


def numbers(pictures: Iterable[Picture]) -> list[int]:
    """The numbers of such frames; all but the corner is as it was painted."""
    pictures = list(pictures)
    read = [int(picture[-1, -1, 0]) + 256 * int(picture[-1, -1, 1]) for picture in pictures]
    drawn = numbered(max(read, default=-1) + 1, *pictures[0].shape[:2])
    for number, picture in zip(read, pictures, strict=True):
        np.testing.assert_array_equal(picture, drawn[number])
    return read


def middles(count: int, first: float, last: float, rate: int = 25) -> Sequence[int]:
    """The frames on show in the middle of each of ``count`` equal parts of a segment."""
    return [int((first + (part + 0.5) * (last - first) / count) * rate) for part in range(count)]


FACE = (105, 155, 222)
"""Top, left and side of the face on matplotlib's photograph [600, 512, 3]."""


def portrait(height: int) -> Picture:
    """That photograph, shrunk to a height."""
    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as photograph:
        return np.asarray(photograph.resize((height * 512 // 600, height)))


def paste(picture: Picture, other: Picture, top: int, left: int) -> Picture:
    """A copy of a picture with another one on it."""
    whole = picture.copy()
    whole[top : top + len(other), left : left + other.shape[1]] = other
    return whole
