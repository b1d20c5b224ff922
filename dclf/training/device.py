"""Devices, mixed precision and random states."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def resolve_device(device: str) -> torch.device:
    """The device for ``train.device``: auto takes a GPU where one is, and cuDNN then computes in float32.

    Raises:
        ValueError: a GPU is asked for where none is.
    """
    if device == "gpu" and not torch.cuda.is_available():
        raise ValueError(
            "train.device: gpu needs a CUDA device that this torch build can use, there is none; "
            "use train.device auto or cpu"
        )
    use_gpu = device != "cpu" and torch.cuda.is_available()
    if use_gpu:
        # By default recurrent layers take TF32 there, and a model would score otherwise than on a CPU.
        torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda" if use_gpu else "cpu")


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision for ``train.precision``: matrix products in bfloat16, weights and losses in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def rng_state(device: torch.device) -> dict[str, Tensor]:
    """This process's random states, by device type."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_rng_state(states: dict[str, Tensor], device: torch.device) -> None:
    """The inverse of ``rng_state``; a device the states lack keeps its own."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
