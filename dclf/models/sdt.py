"""SDT (Ma et al., 2023): modalities attend to one another, gates weigh what they say, and the whole teaches its parts.

    z^m     = dropout(u^m + position + S_s)                         u^m [N, H], S_s the speaker's embedding
    a^kq    = Attention(z^q asks, z^k answers)                      for every pair of modalities k, q (``attention``)
    y^kq    = z^q + dropout(a^kq)
    t^kq    = y^kq + dropout(W_2 dropout(gelu(W_1 LN(y^kq) + b_1)) + b_2)     gelu in its tanh form
    g^kq    = sigmoid(G^kq t^kq) t^kq                               the gate of a pair; identity: sigmoid(t) t
    r^q     = R^q [g^qq, g^kq for every other k] + b^q              [N, H], a modality
    w^q     = softmax over the modalities, per feature, of F r^q
    h       = sum over q of w^q r^q                                 what the decoder reads, a linear layer

    N   utterances of the batch   H   width   M   modalities   W_1 [inner_width, H]

Its own terms of the loss are in ``self_distillation``. There is one transformer layer per pair, as published. The
modality encoders have a bias here and none there. In the original the teacher has a gradient, which pulls the whole
towards its parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.data.dialogue import MODALITIES
from dclf.layout import Layout
from dclf.models.attention import DialogueAttention, KeysValues
from dclf.models.contract import Auxiliary, BaseModel, BaseOutput
from dclf.models.dropout import Dropout
from dclf.models.history import pool_history
from dclf.models.options import require, require_rate, require_size
from dclf.models.positions import positional_table
from dclf.models.self_distillation import SelfDistillation, reduced_name

GATES = ("learned", "identity")


@dataclass(frozen=True, kw_only=True)
class SDTConfig:
    """Hyperparameters of SDT; the defaults are its authors' for IEMOCAP.

    Attributes:
        width: H, of encoders, attention, gates and hidden states.
        heads: heads of each attention, which divide H.
        inner_width: width of the layer between W_1 and W_2.
        gates: ``learned``, or ``identity`` for G = 1 (the authors' for MELD).
        modality_weight: weight of the term ``modality``; 0 leaves it out.
        distillation_weight: weight of the term ``distillation``; 0 leaves it out.
        temperature: T, of teacher and students in the distillation.
        dropout: dropout rate of inputs, attention weights, both layers of each block, and the students.
    """

    width: int = 1024
    heads: int = 8
    inner_width: int = 1024
    gates: str = "learned"
    modality_weight: float = 1.0
    distillation_weight: float = 1.0
    temperature: float = 1.0
    dropout: float = 0.5

    def __post_init__(self) -> None:
        require_size(width=self.width, heads=self.heads, inner_width=self.inner_width)
        require(self.width % 2 == 0, "width", "even, sines and cosines in pairs", self.width)
        require(self.width % self.heads == 0, "width", f"a multiple of heads, {self.heads}", self.width)
        require(self.gates in GATES, "gates", "learned or identity", self.gates)
        for name, value in self.weights.items():
            require(0 <= value < math.inf, f"{name}_weight", "0 or more", value)
        require(0 < self.temperature < math.inf, "temperature", "above 0", self.temperature)
        require_rate(dropout=self.dropout)

    @property
    def weights(self) -> dict[str, float]:
        """Of the model's own terms of the loss."""
        return {"modality": self.modality_weight, "distillation": self.distillation_weight}


@dataclass(frozen=True, eq=False)
class SDTMemory:
    """A conversation so far.

    Attributes:
        length: utterances heard.
        keys_values: name of a block -> what its attention keeps of them.
    """

    length: int = 0
    keys_values: Mapping[str, KeysValues] = field(default_factory=dict)


class SDT(BaseModel):
    """SDT on any subset of the modalities, with a block for each of their pairs.

    ``hidden`` = ``state`` is h; ``context`` pools the states of earlier utterances (``history.pool_history``). With
    ``causal`` no attention hears later utterances, and nothing else mixes time.
    """

    Config = SDTConfig
    streams = True

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: SDTConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in MODALITIES if m in modalities)
        self.config = config
        self.encoder_width = self.hidden_width = self.state_width = self.context_width = config.width
        self.speakers = nn.Embedding(speaker_count, config.width)
        self.blocks = nn.ModuleDict(
            {_answering_asking(k, q): Block(config, causal=causal) for q in self.modalities for k in self.modalities}
        )
        joined = len(self.modalities) * config.width
        self.reducers = nn.ModuleDict({m: nn.Linear(joined, config.width) for m in self.modalities})
        # One modality has weight 1 whatever F is.
        self.fusion = nn.Linear(config.width, config.width, bias=False) if len(self.modalities) > 1 else None
        self.dropout = Dropout(config.dropout)

    def decoder(self, width: int, classes: int) -> nn.Module:
        """See ``BaseModel.decoder``."""
        return nn.Linear(width, classes)

    def auxiliary(self, class_names: Sequence[str]) -> Auxiliary | None:
        """See ``BaseModel.auxiliary``."""
        if not any(self.config.weights.values()):
            return None
        config = self.config
        return SelfDistillation(
            self.modalities,
            config.width,
            len(class_names),
            weights=config.weights,
            temperature=config.temperature,
            dropout=config.dropout,
        )

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        positions = positional_table(layout.longest, self.config.width).to(layout.device)[layout.time]
        inputs = self._inputs(encoded, speakers, positions)
        reduced = self._reduced(inputs, lambda name, asking, answering: self.blocks[name](asking, answering, layout))
        hidden = self._fused(list(reduced.values()))
        needed = any(self.config.weights.values())
        auxiliary = {reduced_name(m): rows for m, rows in reduced.items()} if needed else {}
        return BaseOutput(hidden=hidden, state=hidden, context=pool_history(hidden, layout), auxiliary=auxiliary)

    def hear(
        self, encoded: Mapping[str, Tensor], speaker: Tensor, memory: SDTMemory | None
    ) -> tuple[Tensor, SDTMemory]:
        """See ``BaseModel.hear``."""
        past, heard = memory or SDTMemory(), {}
        position = positional_table(1, self.config.width, past.length).to(speaker.device)

        def block(name: str, asking: Tensor, answering: Tensor) -> Tensor:
            output: Tensor
            output, heard[name] = self.blocks[name].hear(asking, answering, past.keys_values.get(name))  # type: ignore[operator]
            return output

        reduced = self._reduced(self._inputs(encoded, speaker, position), block)
        return self._fused(list(reduced.values())), SDTMemory(past.length + 1, heard)

    def _inputs(self, encoded: Mapping[str, Tensor], speakers: Tensor, positions: Tensor) -> dict[str, Tensor]:
        """Modality -> z [N, H]."""
        embeddings = self.speakers(speakers)
        added = embeddings + positions.to(embeddings.dtype)
        return {m: self.dropout(encoded[m].to(added.dtype) + added) for m in self.modalities}

    def _reduced(
        self, inputs: Mapping[str, Tensor], block: Callable[[str, Tensor, Tensor], Tensor]
    ) -> dict[str, Tensor]:
        """Modality -> r [N, H], with the blocks' outputs from ``block(name, asking, answering)``."""
        return {
            q: self.reducers[q](
                torch.cat(
                    [block(_answering_asking(k, q), inputs[q], inputs[k]) for k in own_first(q, self.modalities)], 1
                )
            )
            for q in self.modalities
        }

    def _fused(self, reduced: Sequence[Tensor]) -> Tensor:
        """h [N, H] of r^q, each [N, H]."""
        rows = torch.stack(list(reduced), 1)
        return rows.squeeze(1) if self.fusion is None else (self.fusion(rows).softmax(1) * rows).sum(1)


class Block(nn.Module):
    """One modality asks another: g^kq of z^q and z^k.

    Args:
        config: the model's hyperparameters.
        causal: hear no later utterance.
    """

    def __init__(self, config: SDTConfig, *, causal: bool) -> None:
        super().__init__()
        self.attention = DialogueAttention(config.width, config.heads, causal=causal, dropout=config.dropout)
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.inner = nn.Linear(config.width, config.inner_width)
        self.outer = nn.Linear(config.inner_width, config.width)
        self.gate = nn.Linear(config.width, config.width, bias=False) if config.gates == "learned" else nn.Identity()
        self.dropout = Dropout(config.dropout)

    def forward(self, asking: Tensor, answering: Tensor, layout: Layout) -> Tensor:
        """z^q [N, H] and z^k [N, H] -> [N, H]."""
        return self._gated(asking, self.attention(asking, answering, layout))

    def hear(self, asking: Tensor, answering: Tensor, memory: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """As ``DialogueAttention.hear``."""
        attended, memory = self.attention.hear(asking, answering, memory)
        return self._gated(asking, attended), memory

    def _gated(self, asking: Tensor, attended: Tensor) -> Tensor:
        output = self.transformed(asking, attended)
        return torch.sigmoid(self.gate(output)) * output

    def transformed(self, asking: Tensor, attended: Tensor) -> Tensor:
        """[N, H], t^kq of z^q and what it heard, a^kq."""
        rows = asking + self.dropout(attended)
        inner = self.dropout(functional.gelu(self.inner(self.norm(rows)), approximate="tanh"))
        output: Tensor = rows + self.dropout(self.outer(inner))
        return output


def own_first(modality: str, modalities: Sequence[str]) -> tuple[str, ...]:
    """The modalities with this one in front."""
    return modality, *(m for m in modalities if m != modality)


def _answering_asking(answering: str, asking: str) -> str:
    return f"{answering}_{asking}"
