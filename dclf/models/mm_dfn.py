"""MM-DFN (Hu et al., 2022): a deep graph convolution whose layers pass through an LSTM that walks over the depth.

For every modality m, with u^m the encoder's output and w_m the weight of the party in it:

    P^m       = GRU_party over what each party says in u^m, put back at its places                [E]
    x^m       = u^m + w_m P^m, audio and visual;  x^text = GRU_text(u^text) + w_text P^text       [E], the nodes
    A         = the adjacency between all x^m of the dialogue (``dialogue_graph``)
    h_0       = relu(W x + b)                                                                     [F]
    H_0       = h_0,  g_0 = c_0 = 0
    g_l, c_l  = LSTM(H_l-1; g_l-1, c_l-1), one cell for all layers, nodes and modalities          l = 1 .. K
    p_l       = A g_l
    y_l       = theta_l [p_l, h_0] W_l + (1 - theta_l) ((1 - alpha) p_l + alpha h_0)
    theta_l   = ln(lambda / l + 1)
    H_l       = H_l-1 + relu(y_l)
    h_i       = [x^m, H_K^m] for m = audio, visual, text                                          what the decoder reads

With ``causal`` both GRUs read forwards only and an utterance hears no later one. The parties are known by who speaks
alone: they have no parameters of their own.

    N   utterances of the batch   M   modalities   E   node width   F   hidden width   K   layers
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.layout import Layout
from dclf.models.contract import BaseModel, BaseOutput
from dclf.models.dialogue_graph import DialogueGraph
from dclf.models.dialogue_gru import DialogueGRU
from dclf.models.dropout import dropout
from dclf.models.graph_convolution import blended, layer_weights
from dclf.models.history import pool_history
from dclf.models.options import require, require_rate, require_size
from dclf.models.parties import Parties

ORDER = ("audio", "visual", "text")
"""Order of the modalities in ``hidden``."""


@dataclass(frozen=True, kw_only=True)
class MMDFNConfig:
    """Hyperparameters of MM-DFN; the defaults are those of the authors' IEMOCAP script.

    Attributes:
        hidden: F, width of the graph layers.
        node_width: E, width of the modality encoders and of the nodes; even.
        layers: K, number of graph layers.
        alpha: share of h_0 in every layer, in [0, 1].
        lambda_: theta_l = ln(lambda / l + 1) is the share of the learned map in layer l, in [0, 1] for every l.
        party_audio: w_audio, 0 or more; with 0 the parties are not read.
        party_visual: w_visual, likewise.
        party_text: w_text, likewise.
        dropout: dropout rate of the GRUs, of the nodes and of the graph layers.
    """

    hidden: int = 100
    node_width: int = 200
    layers: int = 16
    alpha: float = 0.2
    lambda_: float = 0.5
    party_audio: float = 3.0
    party_visual: float = 0.0
    party_text: float = 1.0
    dropout: float = 0.4

    def __post_init__(self) -> None:
        require_size(hidden=self.hidden, node_width=self.node_width, layers=self.layers)
        require(self.node_width % 2 == 0, "node_width", "even, half for each direction of the GRUs", self.node_width)
        require(0 <= self.alpha <= 1, "alpha", "in [0, 1]", self.alpha)
        require(0 <= self.lambda_ <= math.e - 1, "lambda_", "in [0, e - 1]", self.lambda_)
        for modality, weight in self.party_weights.items():
            require(0 <= weight < math.inf, f"party_{modality}", "0 or more and finite", weight)
        require_rate(dropout=self.dropout)

    @property
    def party_weights(self) -> dict[str, float]:
        """Modality -> w_m."""
        return {"audio": self.party_audio, "visual": self.party_visual, "text": self.party_text}


class MMDFN(BaseModel):
    """MM-DFN on any subset of the modalities.

    ``hidden`` holds, per modality present in the order audio, visual, text, the E node features and the F graph
    outputs; ``state`` the graph outputs alone. ``context`` pools the states of earlier utterances with the own state
    as query (``history.pool_history``): row i reads utterances up to i, and its keys and values lie before i.
    """

    Config = MMDFNConfig

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: MMDFNConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in ORDER if m in modalities)
        self.causal = causal
        self.party_weights = {m: w for m, w in config.party_weights.items() if w and m in modalities}
        self.encoder_width = config.node_width
        self.hidden_width = len(self.modalities) * (config.node_width + config.hidden)
        self.state_width = self.context_width = len(self.modalities) * config.hidden
        self.dropout = config.dropout
        self.text = self._gru(config) if "text" in self.modalities else None
        self.parties = self._gru(config) if self.party_weights else None
        self.fusion = DynamicFusion(config)

    def _gru(self, config: MMDFNConfig) -> DialogueGRU:
        half = config.node_width if self.causal else config.node_width // 2
        return DialogueGRU(config.node_width, half, layers=2, bidirectional=not self.causal, dropout=config.dropout)

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        nodes = self._nodes(encoded, speakers, layout)
        with torch.autocast(nodes.device.type, enabled=False):
            # In the parameters' precision throughout: near 1, acos has no digits to lose.
            graph = DialogueGraph.of(nodes, layout, causal=self.causal)
            nodes = dropout(nodes, self.dropout, self.training)
            outputs = self.fusion(nodes, graph)
        state = outputs.flatten(1)
        hidden = torch.cat((nodes, outputs), -1).flatten(1)
        return BaseOutput(hidden=hidden, state=state, context=pool_history(state, layout))

    def _nodes(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> Tensor:
        """x [N, M, E]."""
        dtype = self.fusion.entry.weight.dtype
        nodes = {modality: encoded[modality].to(dtype) for modality in self.modalities}
        parties = self._parties(nodes, layout, speakers)
        if self.text is not None:
            nodes["text"] = self.text(nodes["text"], layout)
        for modality, party in parties.items():
            nodes[modality] = nodes[modality] + self.party_weights[modality] * party
        return torch.stack(list(nodes.values()), 1)

    def _parties(self, encoded: Mapping[str, Tensor], layout: Layout, speakers: Tensor) -> dict[str, Tensor]:
        """P^m [N, E] of every modality whose weight is not 0."""
        if self.parties is None:
            return {}
        parties, count = Parties.of(layout, speakers), len(self.party_weights)
        utterances = torch.cat([encoded[modality].index_select(0, parties.rows) for modality in self.party_weights])
        heard = self.parties(utterances, parties.layout.repeat(count))
        rows = (part.index_select(0, parties.places) for part in heard.chunk(count))
        return dict(zip(self.party_weights, rows, strict=True))


class DynamicFusion(nn.Module):
    """h_0 and the K layers on the nodes of a dialogue graph.

    Args:
        config: of the model.
    """

    def __init__(self, config: MMDFNConfig) -> None:
        super().__init__()
        self.alpha, self.lambda_, self.dropout = config.alpha, config.lambda_, config.dropout
        self.entry = nn.Linear(config.node_width, config.hidden)
        self.cell = nn.LSTMCell(config.hidden, config.hidden)
        self.weights = layer_weights(config.hidden, config.layers)

    def forward(self, nodes: Tensor, graph: DialogueGraph) -> Tensor:
        """x [N, M, E], dropped out -> H_K [N, M, F]."""
        return self.layers(nodes, graph)[-1]

    def layers(self, nodes: Tensor, graph: DialogueGraph) -> list[Tensor]:
        """H_0 .. H_K, each [N, M, F]."""
        first = functional.relu(self.entry(nodes))
        reached, initial = blended(self.weights, self.alpha, self.lambda_)
        shares = (first @ initial.transpose(0, 1).flatten(1)).split(first.shape[2], 2)
        outputs = [dropout(first, self.dropout, self.training)]
        memory: tuple[Tensor, Tensor] | None = None
        for weight, share in zip(reached, shares, strict=True):
            memory = self.cell(outputs[-1].flatten(0, 1), memory)
            heard = graph.hop(memory[0].view_as(first))
            update = functional.relu(heard @ weight + share)
            outputs.append(outputs[-1] + dropout(update, self.dropout, self.training))
        return outputs
