"""Options that make each base model that ships small enough for a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SMALL: Mapping[str, Mapping[str, Any]] = {
    "aghmn": {"encoder_width": 6, "width": 5, "window": 3},
    "ddin": {"encoder_width": 6, "history_width": 8, "party_width": 7, "emotion_width": 5, "decoder_width": 4},
    "dialogue_rnn": {"encoder_width": 6, "history_width": 8, "party_width": 7, "emotion_width": 5, "decoder_width": 4},
    "graphcfc": {"hidden": 6, "text_width": 7, "heads": 2, "layers": 2, "past": 3},
    "graphmft": {"hidden": 6, "text_width": 7, "heads": 2, "layers": 2, "past": 3},
    "mmgcn": {"hidden": 6, "node_width": 8, "layers": 2},
}
