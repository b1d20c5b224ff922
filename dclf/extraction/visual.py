"""Features from pictures: the mean of an image encoder's vectors over an utterance's frames, or over the faces in them.

N      frames of an utterance
H, W   height and width of a picture
D      width of a row

Frames of one utterance are read, prepared and encoded as they come: what is in memory is one frame and one batch of
prepared pictures, however long the recording and however many frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from dclf.errors import first_line
from dclf.extraction.contract import ExtractionError, ExtractorSettings, Row, Unreadable, Utterance, Vector
from dclf.extraction.encoders import check_identity, identity, locate
from dclf.extraction.faces import FaceDetector
from dclf.extraction.frames import Picture, read_frames
from dclf.extraction.image_models import UNUSABLE, PictureEncoder, Pixels, TransformersEncoder
from dclf.extraction.media import BrokenRecording
from dclf.extraction.onnx_models import IMAGENET_MEAN, IMAGENET_STD, ONNX_SUFFIX, OnnxEncoder, onnx_identity
from dclf.extraction.packages import distributions, missing_packages, require
from dclf.prose import quantity

BATCH = 16
"""Pictures that go through an encoder at a time."""
ONNX_SIZE = 224


@dataclass(frozen=True, kw_only=True)
class ImageSettings(ExtractorSettings):
    """The mean over an utterance's frames of an image encoder's vectors.

    Attributes:
        model: folder of an encoder of transformers, its name on the hub, or path of an ``.onnx`` file.
        revision: branch, tag or commit on the hub; after ``resolve`` the commit.
        frames: how many of an utterance, evenly spaced; a shorter one has all of its own.
        faces: whether the largest face of each frame is encoded instead of the whole frame; a frame without a face is
            left out, and an utterance without any has no row.
        mean: of red, green and blue in 0 to 1, which an ONNX encoder wants taken off.
        std: what they are divided by thereafter; 1/255 gives 0 to 255 where ``mean`` is 0.
        size: height and width of a picture for an ONNX encoder that leaves them open.
    """

    name: ClassVar[str] = "image"
    modality: ClassVar[str] = "visual"
    reads: ClassVar[str] = "recording"

    model: str = ""
    revision: str = ""
    frames: int = 16
    faces: bool = False
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    size: int = ONNX_SIZE

    def __post_init__(self) -> None:
        """Make tuples of the lists that JSON has."""
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))

    @property
    def onnx(self) -> bool:
        """Whether the encoder is an ONNX file."""
        return self.model.endswith(ONNX_SUFFIX)

    @property
    def packages(self) -> tuple[str, ...]:
        """See ``ExtractorSettings``."""
        return distributions(self._packages())

    def problems(self) -> list[str]:
        """Everything that is impossible; whether an encoder of transformers is there says ``resolve``."""
        problems = missing_packages("image", self._packages())
        if not self.model:
            problems.append(
                "image needs a model: a folder, a name on the hub such as facebook/dinov2-base, or an .onnx file"
            )
        if self.frames < 1:
            problems.append(f"image must read at least 1 frame of an utterance, frames is {self.frames}")
        return problems + (self._onnx_problems() if self.onnx else self._others_problems())

    def _packages(self) -> list[str]:
        return ["av", "onnxruntime" if self.onnx else "transformers", *(["cv2"] if self.faces else [])]

    def _onnx_problems(self) -> list[str]:
        problems = []
        if not _onnx_file(self.model).is_file():
            problems.append(f"there is no ONNX file {self.model}")
        if self.revision:
            problems.append(f"the ONNX file {self.model} has no revision {self.revision}: leave the revision out")
        if len(self.mean) != 3:
            problems.append(f"mean must be 3 numbers, for red, green and blue, is {list(self.mean)}")
        if len(self.std) != 3 or not all(value > 0 for value in self.std):
            problems.append(f"std must be 3 numbers above 0, for red, green and blue, is {list(self.std)}")
        if self.size < 1:
            problems.append(f"size must be at least 1 pixel, is {self.size}")
        return problems

    def _others_problems(self) -> list[str]:
        if (self.mean, self.std, self.size) == (IMAGENET_MEAN, IMAGENET_STD, ONNX_SIZE):
            return []
        return [
            "mean, std and size are for ONNX files; an encoder of transformers has them in preprocessor_config.json"
        ]

    def resolve(self) -> Self:
        """The same with a hash of the encoder's files, and its place absolute or its commit on the hub.

        Raises:
            ExtractionError: something is impossible, or the encoder cannot be had.
        """
        if problems := self.problems():
            raise ExtractionError("\n".join(problems))
        if self.onnx:
            path = _onnx_file(self.model)
            return replace(self, identity=onnx_identity(path), model=str(path))
        located = locate(self.model, self.revision)
        return replace(self, identity=identity(located.folder), model=located.model, revision=located.revision)

    def load(self, device: str) -> Images:
        """Open the encoder; what runs on the CPU takes as many threads as torch does.

        Raises:
            ExtractionError: it cannot be had, is not that of ``identity``, or makes no vectors of pictures.
        """
        require("image", self._packages())
        import torch  # noqa: PLC0415 - slow to import, and planning does without

        threads = torch.get_num_threads()
        return Images(self, self._encoder(device, threads), FaceDetector(threads) if self.faces else None, threads)

    def _encoder(self, device: str, threads: int) -> PictureEncoder:
        if not self.onnx:
            folder = locate(self.model, self.revision).folder
            check_identity(folder, self.identity)
            return TransformersEncoder(folder, device)
        path = _onnx_file(self.model)
        if self.identity and (here := onnx_identity(path)) != self.identity:
            raise ExtractionError(
                f"the encoder {path} must be the one of identity {self.identity}, is {here}: it is not that of the "
                "extraction; point to that encoder, or extract anew"
            )
        return OnnxEncoder(path, device, threads, self.mean, self.std, self.size)

    def fingerprint(self) -> str:
        """As of all extractors; where the encoder lies is none of it."""
        return ExtractorSettings.fingerprint(replace(self, model="", revision=""))


def _onnx_file(model: str) -> Path:
    return Path(model).expanduser().absolute()


class Images:
    """An image encoder behind a reader of frames."""

    def __init__(
        self, settings: ImageSettings, encoder: PictureEncoder, detector: FaceDetector | None, threads: int
    ) -> None:
        """Prove the encoder on a picture.

        Args:
            settings: how many frames.
            encoder: of whole frames, or of faces.
            detector: of faces; None for whole frames.
            threads: of the decoder.

        Raises:
            ExtractionError: the encoder makes no vector of the picture, or another one each time.
        """
        self._frames = settings.frames
        self._encoder = encoder
        self._detector = detector
        self._threads = threads
        self._width = _proven_width(settings.model, encoder)

    @property
    def width(self) -> int:
        """D."""
        return self._width

    def rows(self, utterances: Sequence[Utterance]) -> list[Row]:
        """A float32 [D] for each utterance, or why there is none."""
        return [self._row(utterance) for utterance in utterances]

    def _row(self, utterance: Utterance) -> Row:
        if not utterance.recording:
            return Unreadable("there is no recording")
        count, total = 0, np.zeros(self._width)
        try:
            for vectors in self._vectors(self._pictures(utterance)):
                count += len(vectors)
                total += vectors.sum(axis=0, dtype=np.float64)
        except BrokenRecording as error:
            return Unreadable(error.reason, error.lasting)
        row: Vector = (total / count).astype(np.float32)
        return row if np.isfinite(row).all() else Unreadable("the encoder gives no finite numbers for its pictures")

    def _pictures(self, utterance: Utterance) -> Iterator[Picture]:
        """The frames, or their faces; BrokenRecording where there are none."""
        frames = read_frames(utterance.recording, self._frames, utterance.start, utterance.end, self._threads)
        if self._detector is None:
            yield from frames
            return
        frames_seen = faces_seen = 0
        for frame in frames:
            frames_seen += 1
            if (face := self._detector.largest_face(frame)) is not None:
                faces_seen += 1
                yield face
        if not faces_seen:
            raise BrokenRecording(f"there is no face in any of its {quantity(frames_seen, 'frame')}")

    def _vectors(self, pictures: Iterator[Picture]) -> Iterator[Vector]:
        """Vectors [n, D] of pictures, batch by batch; a processor may make pictures of several shapes."""
        for _, same in groupby(map(self._encoder.prepare, pictures), key=np.shape):
            yield from map(self._encoder.encode, _batches(same))


def _batches(pixels: Iterator[Pixels]) -> Iterator[list[Pixels]]:
    while batch := [*islice(pixels, BATCH)]:
        yield batch


def _proven_width(model: str, encoder: PictureEncoder) -> int:
    """D, as an encoder makes it of a picture that it is shown twice."""
    steps = np.arange(64, dtype=np.uint8)
    picture = np.stack(np.broadcast_arrays(steps[:, None] * 4, steps * 4, steps[:, None] ^ steps), axis=-1)
    try:
        first, second = (encoder.encode([encoder.prepare(picture)]) for _ in range(2))
    except UNUSABLE as error:
        raise ExtractionError(f"the encoder {model} makes no vector of a picture: {first_line(error)}") from error
    if first.ndim != 2 or len(first) != 1:
        raise ExtractionError(f"the encoder {model} must make one vector of a picture, makes {list(first.shape)}")
    if not np.allclose(first, second, rtol=1e-3, atol=1e-4):
        raise ExtractionError(
            f"the encoder {model} makes another vector of the same picture each time, as masked autoencoders do: set "
            "mask_ratio to 0 in its config.json"
        )
    return int(first.shape[1])
