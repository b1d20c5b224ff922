"""The names of modalities and of splits; imports nothing that takes time, for command lines too."""

from __future__ import annotations

from typing import Literal

Modality = Literal["text", "audio", "visual"]
MODALITIES = ("text", "audio", "visual")
"""Every modality the project knows, in the order in which features are concatenated."""
SPLITS = ("train", "val", "test")
SCORED_SPLITS = ("val", "test")
"""Those that a trained model is scored on."""
