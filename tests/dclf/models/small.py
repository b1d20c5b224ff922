"""Options that make each base model that ships small enough for a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SMALL: Mapping[str, Mapping[str, Any]] = {
    "aghmn": {"encoder_width": 6, "width": 5, "window": 3},
    "cfn_esa": {"width": 6, "recurrent_layers": 1, "cross_layers": 2, "heads": 2, "shift_width": 4},
    "dag_erc": {"encoder_width": 6, "hidden": 5, "layers": 2, "window": 1},
    "ddin": {"encoder_width": 6, "history_width": 8, "party_width": 7, "emotion_width": 5, "decoder_width": 4},
    "dialogue_gcn": {"encoder_width": 6, "lstm_width": 4, "graph_width": 5, "past": 2},
    "dialogue_rnn": {"encoder_width": 6, "history_width": 8, "party_width": 7, "emotion_width": 5, "decoder_width": 4},
    "graphcfc": {"hidden": 6, "text_width": 7, "heads": 2, "layers": 2, "past": 3},
    "graphmft": {"hidden": 6, "text_width": 7, "heads": 2, "layers": 2, "past": 3},
    "graphsmile": {"width": 6, "layers": 2, "past": 2, "shift_window": 3},
    "m3net": {"node_width": 6, "width": 5, "hyper_layers": 2, "pair_layers": 2},
    "mm_dfn": {"hidden": 6, "node_width": 8, "layers": 2},
    "mmgcn": {"hidden": 6, "node_width": 8, "layers": 2},
    "sdt": {"width": 8, "heads": 2, "inner_width": 6},
}
