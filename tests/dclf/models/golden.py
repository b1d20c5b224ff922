"""The recorded inputs, weights and outputs of the originals, in float64."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.contract import BaseModel
from dclf.models.dialogue_gru import DialogueGRU
from dclf.models.encoders import ModalityEncoders
from tests.requirements import lacking

FOLDER = Path(os.environ.get("DCLF_GOLDEN_DIR", Path(__file__).parents[4] / "shared" / "golden"))


class Golden:
    """One recording, as float64 tensors packed by a layout."""

    def __init__(self, name: str) -> None:
        path = FOLDER / f"{name}.npz"
        if not path.exists():
            lacking(f"{path} is absent: set DCLF_GOLDEN_DIR to the folder of the recorded outputs")
        self.arrays = dict(np.load(path))
        self.layout = Layout.of(self.arrays["lengths"].tolist())

    def __getitem__(self, key: str) -> Tensor:
        array = self.arrays[key]
        return torch.from_numpy(array.astype(np.int64 if array.dtype.kind == "i" else np.float64))

    def rows(self, key: str) -> Tensor:
        return self.layout.pack(self[key])

    def weight(self, key: str) -> Tensor:
        return self[f"weights/{key}"]

    @property
    def features(self) -> dict[str, Tensor]:
        return {m: self.rows(m) for m in ("text", "visual", "audio")}


def encoders(golden: Golden, names: Mapping[str, str], width: int) -> ModalityEncoders:
    module = ModalityEncoders({m: golden[m].shape[-1] for m in names}, width).double()
    state = {
        f"layers.{m}.{part}": golden.weight(f"{name}.{part}")
        for m, name in names.items()
        for part in ("weight", "bias")
    }
    module.load_state_dict(state)
    return module


def load(layer: nn.Module, golden: Golden, name: str) -> None:
    """Give a layer the recorded parameters of this name."""
    layer.load_state_dict({part: golden.weight(f"{name}.{part}") for part in dict(layer.named_parameters())})


def logits_of(golden: Golden, model: BaseModel, name: str, hidden: Tensor) -> Tensor:
    """What the model's own decoder makes of its hidden states, with the recorded last layer of this name."""
    decoder = model.decoder(model.hidden_width, 6).double().eval()
    load(decoder if isinstance(decoder, nn.Linear) else list(decoder.children())[-1], golden, name)
    logits: Tensor = decoder(hidden)
    return logits


def load_gru(gru: DialogueGRU, golden: Golden, name: str) -> None:
    """Give a GRU the recorded parameters of an ``nn.GRU`` of this name."""
    state = {}
    for number in range(len(gru.layers)):
        ends = ("", "_reverse")[: gru.directions]
        for ours, theirs in (("input", "ih"), ("state", "hh")):
            weights = [golden.weight(f"{name}.weight_{theirs}_l{number}{end}").T for end in ends]
            biases = [golden.weight(f"{name}.bias_{theirs}_l{number}{end}")[None] for end in ends]
            state[f"layers.{number}.{ours}_weight"] = torch.stack(weights)
            state[f"layers.{number}.{ours}_bias"] = torch.stack(biases)
    gru.load_state_dict(state)
