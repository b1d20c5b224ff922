"""Image encoders of transformers: from a picture to one vector.

N      pictures of a batch
C      channels
H, W   height and width of a picture
D      width of a vector
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dclf.errors import first_line
from dclf.extraction.contract import ExtractionError, Vector
from dclf.extraction.encoders import open_part, quiet_transformers
from dclf.extraction.frames import Picture

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.float32]
"""A picture as its encoder reads it, [C, h, w]."""

UNUSABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError)
"""What transformers raises for a model or processor that does not fit."""
CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")
"""Ends of the names of the parameter that a model with a class token has."""


class PictureEncoder(Protocol):
    """Turns pictures into vectors; opened once in a process."""

    def prepare(self, picture: Picture) -> Pixels:
        """What is encoded of a picture [H, W, 3]."""
        ...

    def encode(self, pixels: Sequence[Pixels]) -> Vector:
        """Vectors [N, D] of N prepared pictures of one shape."""
        ...


class TransformersEncoder:
    """A model of ``AutoModel`` behind its own image processor.

    The vector is the model's ``pooler_output``, where it has one whose weights are in the folder: CLIP's and SigLIP's
    vision tower, DINOv2, ResNet, ConvNeXT, Swin. Else it is the class token's last hidden state (ViT fine-tuned to
    classify, whose files have no pooler), or the mean of all last hidden states where there is no class token.
    """

    def __init__(self, folder: Path, device: str) -> None:
        """Open model and processor.

        Raises:
            ExtractionError: one of them cannot be opened, or the model reads no pictures.
        """
        self._processor = _processor(folder)
        self._model, missing = open_part(folder, device, "vision_config")
        if self._model.main_input_name != "pixel_values":
            raise ExtractionError(
                f"an image encoder must read pixel_values, the one in {folder} reads {self._model.main_input_name}"
            )
        self._pools = not missing
        self._class_token = any(name.endswith(CLASS_TOKENS) for name, _ in self._model.named_parameters())

    def prepare(self, picture: Picture) -> Pixels:
        """See ``PictureEncoder``; the processor decides on h and w."""
        pixels: Pixels = self._processor(picture, input_data_format="channels_last", return_tensors="np")[
            "pixel_values"
        ][0]
        return pixels

    def encode(self, pixels: Sequence[Pixels]) -> Vector:
        """See ``PictureEncoder``."""
        import torch  # noqa: PLC0415 - slow to import, and planning does without

        with torch.inference_mode():
            batch = torch.from_numpy(np.stack(pixels)).to(self._model.device)
            vectors: Vector = self._pooled(self._model(pixel_values=batch)).float().cpu().numpy()
        return vectors

    def _pooled(self, output: Any) -> Tensor:
        """[N, D] of a model's output, whose last hidden state is [N, tokens, D] or [N, D, h, w]."""
        pooled: Tensor | None = getattr(output, "pooler_output", None) if self._pools else None
        if pooled is not None:
            return pooled.flatten(1)
        hidden: Tensor = output.last_hidden_state
        if hidden.ndim == 4:
            return hidden.mean(dim=(2, 3))
        return hidden[:, 0] if self._class_token else hidden.mean(dim=1)


def _processor(folder: Path) -> Any:
    """The image processor of a folder, the one by Pillow: the same numbers with and without torchvision."""
    from transformers import AutoImageProcessor  # noqa: PLC0415 - of the extra

    with quiet_transformers():
        try:
            return AutoImageProcessor.from_pretrained(
                folder, backend="pil", local_files_only=True, trust_remote_code=False
            )
        except UNUSABLE as error:
            if "torchvision" in str(error).lower():
                raise ExtractionError(
                    f"the image processor of the encoder in {folder} exists for torchvision only, which is not "
                    "installed; install the torchvision of this torch, or give the encoder as an ONNX file"
                ) from error
            raise ExtractionError(
                f"transformers cannot open the image processor of the encoder in {folder}, which "
                f"preprocessor_config.json describes: {first_line(error)}"
            ) from error
