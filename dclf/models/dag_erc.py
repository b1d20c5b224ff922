"""DAG-ERC (Shen et al., 2021): a directed acyclic graph of utterances, which hear those since their speaker's last one.

Multimodal as in MultiDAG (Nguyen et al., 2024): the features of all modalities side by side.

    f_i    = [u^text_i, u^audio_i, u^visual_i]                      features
    H^0_i  = relu(W_0 f_i + b_0)                                    [H]
    H^l    = layer l of ``dag_layer`` over H^l-1, l = 1 .. L        [H] each, with its message M^l
    j_i    = [H^0_i, H^1_i, .., H^L_i, f_i]                         [(L + 1) H + M E]
    h_i    = W_2 relu(W_1 j_i + b_1) + b_2                          [H], what the decoder reads

    N   utterances of the batch   M   modalities   E   encoder width   H   width   L   layers   t   utterances before
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dclf.data.dialogue import MODALITIES
from dclf.layout import Layout
from dclf.models.contract import BaseModel, BaseOutput
from dclf.models.dag_layer import DAGLayer
from dclf.models.options import require_rate, require_size
from dclf.models.predecessors import Predecessors


@dataclass(frozen=True, kw_only=True)
class DAGERCConfig:
    """Hyperparameters of DAG-ERC; the defaults are those of MultiDAG's IEMOCAP program, but for the encoders.

    Attributes:
        encoder_width: E, width of the modality encoders, which the original does not have.
        hidden: H, width of the layers and of the output's.
        layers: L, number of graph layers.
        window: how many of its speaker's earlier utterances an utterance hears, with all that lie between.
        dropout: dropout rate of the decoder; the original has no other.
    """

    encoder_width: int = 100
    hidden: int = 300
    layers: int = 4
    window: int = 1
    dropout: float = 0.4

    def __post_init__(self) -> None:
        require_size(encoder_width=self.encoder_width, hidden=self.hidden, layers=self.layers, window=self.window)
        require_rate(dropout=self.dropout)


@dataclass(frozen=True, eq=False)
class DAGERCMemory:
    """What a session remembers: the utterances that a later one may still hear.

    Attributes:
        states: per graph layer H^l [t, H].
        speakers: int64 [t].
    """

    states: tuple[Tensor, ...]
    speakers: Tensor


class DAGERC(BaseModel):
    """DAG-ERC on any subset of the modalities, which it reads side by side; speakers are known as the same or another.

    ``state`` is the last layer's H^L, ``context`` the message M^L that it got: row i reads earlier utterances only, and
    of utterance i who speaks it.
    """

    Config = DAGERCConfig
    bidirectional = False
    streams = True

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: DAGERCConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in MODALITIES if m in modalities)
        self.speakers, self.window = speaker_count, config.window
        self.encoder_width = config.encoder_width
        self.hidden_width = self.state_width = self.context_width = config.hidden
        features = len(self.modalities) * config.encoder_width
        self.entry = nn.Linear(features, config.hidden)
        self.layers = nn.ModuleList(DAGLayer(config.hidden) for _ in range(config.layers))
        self.first = nn.Linear((config.layers + 1) * config.hidden + features, config.hidden)
        self.second = nn.Linear(config.hidden, config.hidden)

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        features = self._features(encoded)
        with torch.autocast(features.device.type, enabled=False):
            below = self.entry(features).relu()
            predecessors = Predecessors.of(speakers, layout, self.window, below)
            steps = predecessors.steps
            states, message = [steps.arrange(below)], below
            for layer in self.layers:
                state, message = layer(states[-1], predecessors)
                states.append(state)
            walked = steps.restore(torch.cat((*states, message), 1))
        *joined, state, message = walked.split(self.hidden_width, 1)
        return BaseOutput(hidden=self._output([*joined, state], features), state=state, context=message)

    def hear(
        self, encoded: Mapping[str, Tensor], speaker: Tensor, memory: DAGERCMemory | None
    ) -> tuple[Tensor, DAGERCMemory]:
        """See ``BaseModel.hear``."""
        features = self._features(encoded)
        past = memory or DAGERCMemory((features.new_zeros(0, self.hidden_width),) * len(self.layers), speaker[:0])
        begin = self._begin(past.speakers, int(speaker))
        own = past.speakers[begin:] == speaker
        states = [self.entry(features).relu()]
        for layer, before in zip(self.layers, past.states, strict=True):
            states.append(layer.step(states[-1], before[begin:], own))  # type: ignore[operator]
        return self._output(states, features), self._remember(past, states[1:], speaker)

    def _features(self, encoded: Mapping[str, Tensor]) -> Tensor:
        """f [N, M E]."""
        return torch.cat([encoded[modality].to(self.entry.weight.dtype) for modality in self.modalities], 1)

    def _output(self, states: Sequence[Tensor], features: Tensor) -> Tensor:
        """h [N, H] of H^0 .. H^L and f."""
        hidden: Tensor = self.second(self.first(torch.cat((*states, features), 1)).relu())
        return hidden

    def _begin(self, speakers: Tensor, speaker: int) -> int:
        """The first utterance that this speaker hears next, after utterances of these speakers [t]."""
        own = (speakers == speaker).nonzero()[:, 0]
        return int(own[-self.window]) if len(own) >= self.window else 0

    def _remember(self, past: DAGERCMemory, states: Sequence[Tensor], speaker: Tensor) -> DAGERCMemory:
        """The past with one more utterance, without what nobody can hear any more."""
        speakers = torch.cat((past.speakers, speaker))
        begin = min(self._begin(speakers, each) for each in range(self.speakers))
        grown = (torch.cat((before, state))[begin:] for before, state in zip(past.states, states, strict=True))
        return DAGERCMemory(tuple(grown), speakers[begin:])
