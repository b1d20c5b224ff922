"""What the references of the recurrent base models share: a GRU cell as its equations stand, and conversations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.contract import BaseModel, BaseOutput
from dclf.models.gru import StackedGRU

WIDTH = 4
MODALITIES = ("text", "audio", "visual")
SPEAKERS = 3


@dataclass(frozen=True)
class Conversation:
    """A batch of dialogues: speakers of each, subset of modalities, and encoded features drawn from a seed."""

    speakers: tuple[tuple[int, ...], ...]
    modalities: tuple[str, ...] = ("text", "audio")
    seed: int = 0

    @property
    def layout(self) -> Layout:
        return Layout.of([len(dialogue) for dialogue in self.speakers])

    @property
    def flat_speakers(self) -> Tensor:
        return torch.tensor([speaker for dialogue in self.speakers for speaker in dialogue])

    def encoded(self) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        shape = self.layout.utterances, WIDTH
        return {m: torch.randn(shape, generator=generator, dtype=torch.float64) for m in self.modalities}

    def utterances(self) -> list[list[Tensor]]:
        """Per dialogue, per utterance: the modalities present side by side, text, audio, visual."""
        encoded = self.encoded()
        rows = torch.cat([encoded[m] for m in MODALITIES if m in encoded], 1)
        return [list(dialogue) for dialogue in rows.split(self.layout.lengths)]

    def run(self, model: BaseModel, changed: Mapping[str, Tensor] | None = None) -> BaseOutput:
        output: BaseOutput = model({**self.encoded(), **(changed or {})}, self.flat_speakers, self.layout)
        return output


def conversations(longest: int = 7) -> st.SearchStrategy[Conversation]:
    dialogue = st.lists(st.integers(0, SPEAKERS - 1), min_size=1, max_size=longest).map(tuple)
    subset = st.lists(st.sampled_from(MODALITIES), min_size=1, unique=True).map(tuple)
    return st.builds(
        Conversation,
        speakers=st.lists(dialogue, min_size=1, max_size=4).map(tuple),
        modalities=subset,
        seed=st.integers(0, 999),
    )


@dataclass(frozen=True)
class GRUWeights:
    """W [3H, inputs], U [3H, H] and both biases, rows in the order reset, update, candidate."""

    w: Tensor
    u: Tensor
    b_w: Tensor
    b_u: Tensor

    @classmethod
    def of(cls, gru: nn.GRUCell | StackedGRU) -> GRUWeights:
        if isinstance(gru, nn.GRUCell):
            return cls(gru.weight_ih, gru.weight_hh, gru.bias_ih, gru.bias_hh)
        return cls(gru.input_weight[0].T, gru.state_weight[0].T, gru.input_bias[0, 0], gru.state_bias[0, 0])

    def step(self, x: Tensor, before: Tensor) -> Tensor:
        """One utterance: x [inputs], state before [H]."""
        x_r, x_z, x_m = (self.w @ x + self.b_w).chunk(3)
        v_r, v_z, v_m = (self.u @ before + self.b_u).chunk(3)
        reset, update = torch.sigmoid(x_r + v_r), torch.sigmoid(x_z + v_z)
        candidate = torch.tanh(x_m + reset * v_m)
        return (1 - update) * candidate + update * before


def gradients(model: BaseModel, output: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Gradients of a fixed mixture of the outputs by every parameter."""
    generator = torch.Generator().manual_seed(1)
    probe = sum((rows * torch.randn(rows.shape, generator=generator, dtype=rows.dtype)).sum() for rows in output)
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(probe, parameters), strict=True))


def check_dropout(model: BaseModel, batch: Conversation) -> None:
    """Dropout is part of training alone, and its gradients are numbers."""
    still = batch.run(model).hidden
    assert torch.equal(batch.run(model).hidden, still)
    model.train()
    torch.manual_seed(0)
    output = batch.run(model)
    assert not torch.allclose(output.hidden, still)
    assert all(grad.isfinite().all() for grad in gradients(model, (output.hidden, output.context)).values())
