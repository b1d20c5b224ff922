"""MMGCN (Hu et al., 2021): a graph convolution over utterances and modalities.

Text passes an LSTM over the dialogue and gets the speaker's embedding; then n layers of the deep graph convolution
of Chen et al. (2020) run over the graph of ``dialogue_graph``. With ``causal`` the LSTM reads forwards only and an
utterance hears no later one.

    N   utterances of the batch   M   modalities   E   node width   F   hidden width
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.contract import BaseModel, BaseOutput
from dclf.models.dialogue_graph import DialogueGraph
from dclf.models.dialogue_lstm import DialogueLSTM
from dclf.models.graph_convolution import GraphConvolution
from dclf.models.history import pool_history
from dclf.models.options import require, require_rate, require_size

ORDER = ("audio", "visual", "text")
"""Order of the modalities in ``hidden``."""


@dataclass(frozen=True, kw_only=True)
class MMGCNConfig:
    """Hyperparameters of MMGCN; the defaults are the paper's.

    Attributes:
        hidden: F, width of the graph convolution.
        node_width: E, width of the modality encoders and of the nodes; even.
        layers: n, number of graph convolutions.
        alpha: share of the first layer's output in every layer, in [0, 1].
        lambda_: theta_l = ln(lambda / l + 1) is the share of the learned map in layer l, in [0, 1] for every l.
        dropout: dropout rate of the LSTM and of the graph convolutions.
    """

    hidden: int = 100
    node_width: int = 200
    layers: int = 4
    alpha: float = 0.1
    lambda_: float = 0.5
    dropout: float = 0.4

    def __post_init__(self) -> None:
        require_size(hidden=self.hidden, node_width=self.node_width, layers=self.layers)
        require(self.node_width % 2 == 0, "node_width", "even, half for each direction of the LSTM", self.node_width)
        require(0 <= self.alpha <= 1, "alpha", "in [0, 1]", self.alpha)
        require(0 <= self.lambda_ <= math.e - 1, "lambda_", "in [0, e - 1]", self.lambda_)
        require_rate(dropout=self.dropout)


class MMGCN(BaseModel):
    """MMGCN on any subset of the modalities.

    ``hidden`` holds, per modality present in the order audio, visual, text, the E node features and the F graph
    outputs; ``state`` the graph outputs alone. ``context`` pools the states of earlier utterances with the own state
    as query (``history.pool_history``): row i reads utterances up to i, and its keys and values lie before i.

    The speaker's embedding is added to text, as in the original; without text, which then has no LSTM either, to the
    first modality present.
    """

    Config = MMGCNConfig

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: MMGCNConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in ORDER if m in modalities)
        self.causal = causal
        self.encoder_width = config.node_width
        self.hidden_width = len(self.modalities) * (config.node_width + config.hidden)
        self.state_width = self.context_width = len(self.modalities) * config.hidden
        self.speakers = nn.Embedding(speaker_count, config.node_width)
        half = config.node_width if causal else config.node_width // 2
        self.lstm = (
            DialogueLSTM(config.node_width, half, bidirectional=not causal, dropout=config.dropout)
            if "text" in self.modalities
            else None
        )
        self.graph = GraphConvolution(
            config.node_width,
            config.hidden,
            layers=config.layers,
            alpha=config.alpha,
            lambda_=config.lambda_,
            dropout=config.dropout,
        )

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        nodes = self._nodes(encoded, speakers, layout)
        with torch.autocast(nodes.device.type, enabled=False):
            # In the parameters' precision throughout: near 1, acos has no digits to lose.
            outputs = self.graph(nodes, DialogueGraph.of(nodes, layout, causal=self.causal))
        state = outputs.flatten(1)
        hidden = torch.cat((nodes, outputs), -1).flatten(1)
        return BaseOutput(hidden=hidden, state=state, context=pool_history(state, layout))

    def _nodes(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> Tensor:
        """Node features [N, M, E]."""
        features = {modality: encoded[modality] for modality in self.modalities}
        if self.lstm is not None:
            features["text"] = self.lstm(features["text"], layout)
        speaker_modality = "text" if "text" in features else self.modalities[0]
        features[speaker_modality] = features[speaker_modality] + self.speakers(speakers)
        dtype = self.speakers.weight.dtype
        return torch.stack([features[modality].to(dtype) for modality in self.modalities], 1)
