"""Image encoders as ONNX files, run by onnxruntime: from a picture to one vector.

N      pictures of a batch
H, W   height and width of a picture
h, w   of a picture as the graph reads it
D      width of a vector
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dclf.errors import first_line
from dclf.extraction.contract import ExtractionError, ExtractionWorkError, Vector
from dclf.extraction.frames import Picture
from dclf.extraction.image_models import Pixels
from dclf.extraction.packages import require

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
ONNX_SUFFIX = ".onnx"
_ERRORS_ONLY = 3
"""Of onnxruntime's levels of messages."""


class OnnxEncoder:
    """A graph with one input, float32 [N, 3, h, w], whose first output becomes the vector.

    An output [N, D, h', w'] is averaged over places, any other flattened to [N, D].
    """

    def __init__(
        self, path: Path, device: str, threads: int, mean: Sequence[float], std: Sequence[float], size: int
    ) -> None:
        """Open the graph.

        Args:
            path: of the ``.onnx`` file.
            device: as torch names it; a graph runs there where onnxruntime can, else on the CPU.
            threads: of an operator on the CPU.
            mean: of red, green and blue in 0 to 1, taken off.
            std: what they are divided by thereafter.
            size: h and w where the graph leaves them open.

        Raises:
            ExtractionError: onnxruntime cannot open it, or its input is another.
        """
        self._path = path
        self._session = _session(path, device, threads)
        inputs = self._session.get_inputs()
        self._height, self._width, self._single = _input_shape(path, inputs, size)
        self._input, self._output = inputs[0].name, self._session.get_outputs()[0].name
        self._mean, self._std = _by_channel(mean), _by_channel(std)

    def prepare(self, picture: Picture) -> Pixels:
        """The whole picture [H, W, 3] stretched to h and w, and normalised: [3, h, w]."""
        from PIL import Image  # noqa: PLC0415 - needless for planning

        image = Image.fromarray(picture).resize((self._width, self._height), Image.Resampling.BILINEAR)
        channels: Pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1)
        pixels: Pixels = (channels / np.float32(255) - self._mean) / self._std
        return pixels

    def encode(self, pixels: Sequence[Pixels]) -> Vector:
        """See ``PictureEncoder``; a graph for one picture gets one after the other."""
        batch = np.stack(pixels)
        parts = np.split(batch, len(batch)) if self._single else [batch]
        return np.concatenate([self._vectors(part) for part in parts])

    def _vectors(self, batch: Pixels) -> Vector:
        try:
            (output,) = self._session.run([self._output], {self._input: batch})
        except Exception as error:  # as in opening
            raise ExtractionError(f"onnxruntime cannot run the encoder {self._path}: {first_line(error)}") from error
        array: Vector = np.asarray(output, dtype=np.float32)
        if array.ndim == 4:
            mean: Vector = array.mean(axis=(2, 3))
            return mean
        return array.reshape(len(batch), -1)


def _by_channel(values: Sequence[float]) -> Pixels:
    """[3, 1, 1]."""
    return np.array(values, dtype=np.float32).reshape(3, 1, 1)


def _session(path: Path, device: str, threads: int) -> Any:
    require(f"the encoder {path}", ["onnxruntime"])
    import onnxruntime  # noqa: PLC0415 - of the extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=_providers(device))
    except Exception as error:  # onnxruntime's errors share no base but this
        raise ExtractionError(f"onnxruntime cannot open the encoder {path}: {first_line(error)}") from error


def _providers(device: str) -> list[Any]:
    """Where the graph runs, in order of preference."""
    import onnxruntime  # noqa: PLC0415 - of the extra

    kind, _, number = device.partition(":")
    there = kind == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    cuda = [("CUDAExecutionProvider", {"device_id": number or "0"})] if there else []
    return [*cuda, "CPUExecutionProvider"]


def _input_shape(path: Path, inputs: Sequence[Any], size: int) -> tuple[int, int, bool]:
    """h, w, and whether the graph takes one picture at a time."""
    shapes = [argument.shape for argument in inputs if argument.type == "tensor(float)" and len(argument.shape) == 4]
    if len(inputs) != 1 or not shapes or (isinstance(shapes[0][1], int) and shapes[0][1] != 3):
        was = ", ".join(f"{argument.name} {argument.type} {argument.shape}" for argument in inputs)
        raise ExtractionError(
            f"the encoder {path} must have one input, float32 [N, 3, height, width], has {was}: export it for RGB "
            "pictures with channels first"
        )
    number, _, height, width = shapes[0]
    if isinstance(number, int) and number != 1:
        raise ExtractionError(
            f"the encoder {path} must take any number of pictures, or one, takes {number}: export it with an open "
            "first dimension"
        )
    h, w = (side if isinstance(side, int) else size for side in (height, width))
    return h, w, number == 1


def onnx_identity(path: Path) -> str:
    """A hash of a graph and of the weights that lie beside it (``NAME.onnx.data``, ``NAME.onnx_data``), not of places.

    Raises:
        ExtractionError: they cannot be read.
    """
    whole = hashlib.sha256()
    try:
        for file in [path, *sorted(path.parent.glob(f"{path.name}[._]data*"))]:
            with file.open("rb") as content:
                suffix = file.name.removeprefix(path.name)
                whole.update(f"{suffix} {hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    except OSError as error:
        raise ExtractionWorkError(f"the encoder {path} cannot be read: {error.strerror}") from error
    return whole.hexdigest()[:16]
