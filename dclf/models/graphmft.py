"""GraphMFT (Li et al., 2023): a graph of every pair of modalities, whose attention runs several times over it.

    x^m         = what the utterance's reader says of modality m                     see ``pair_graph``
    per pair:  x_0 = the nodes of both modalities;  x_k = x_k-1 + attention(x_k-1),  k = 1 .. K, the same one each time
               out = W [x_0; x_1; ..; x_K] + b
    attention:  z              = W x                                                 per head (GAT: Velickovic, 2018)
                score(i hears j) = leaky(att_source . z_j + att_target . z_i)        leaky: slope 0.2 below zero
                y              = what ``PairGraph.attend`` makes of the scores and the values z, plus a bias
    cross^m     = the sum of out at modality m over the pairs that it is in
    h           = W [cross^m for every m] + b

Two modalities form one pair; one alone is a graph of its own edges. The decoder is a linear layer.

    N   utterances of the batch   n   of one dialogue   M   members of a graph   h   heads   H   width   K   layers
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.layout import Layout
from dclf.models.contract import BaseOutput
from dclf.models.dropout import Dropout
from dclf.models.history import pool_history
from dclf.models.options import require_rate, require_size, require_window
from dclf.models.pair_graph import SLOPE, PairGraph, PairGraphModel, groups


@dataclass(frozen=True, kw_only=True)
class GraphMFTConfig:
    """Hyperparameters of GraphMFT; the defaults are those of the original's program, for both data sets.

    Attributes:
        hidden: H, width of nodes and states, and of the encoders of audio and visual.
        text_width: width of the text encoder.
        heads: h, of the attention.
        layers: K, how often a graph's attention runs.
        past: how many earlier utterances a node hears.
        future: how many later ones; none with ``model.causal``.
        graph_dropout: dropout rate of what the attention adds to the nodes; the original drops nothing there.
        dropout: dropout rate between the layers of the LSTM over the text.
    """

    hidden: int = 200
    text_width: int = 400
    heads: int = 4
    layers: int = 5
    past: int = 16
    future: int = 16
    graph_dropout: float = 0.0
    dropout: float = 0.5

    def __post_init__(self) -> None:
        require_size(hidden=self.hidden, text_width=self.text_width, heads=self.heads, layers=self.layers)
        require_window(self.past, self.future)
        require_rate(graph_dropout=self.graph_dropout, dropout=self.dropout)


class GraphMFT(PairGraphModel):
    """GraphMFT on any subset of the modalities.

    ``hidden`` = ``state`` is h; ``context`` pools the states of earlier utterances (``history.pool_history``). With
    ``causal`` the LSTM reads forwards only and no node hears a later utterance.
    """

    Config = GraphMFTConfig

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: GraphMFTConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.pairs = tuple(combinations(self.modalities, min(2, len(self.modalities))))
        self.graphs = nn.ModuleList(PairLayers(config) for _ in self.pairs)
        self.join = nn.Linear(len(self.modalities) * config.hidden, config.hidden)

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        with torch.autocast(speakers.device.type, enabled=False):
            read = self.reader(encoded, speakers, layout)
            parts = [
                self._cross({m: x[rows] for m, x in read.items()}, dialogues) for rows, dialogues in groups(layout)
            ]
            hidden = self.join(torch.cat(parts))
            context = pool_history(hidden, layout)
        return BaseOutput(hidden=hidden, state=hidden, context=context)

    def _cross(self, read: Mapping[str, Tensor], layout: Layout) -> Tensor:
        """x^m [N, H] of every modality -> their cross^m side by side, [N, as many times H]."""
        graph = PairGraph(layout, self.past, self.future)
        sums = {m: torch.zeros_like(x) for m, x in read.items()}
        for layers, pair in zip(self.graphs, self.pairs, strict=True):
            for modality, out in zip(pair, layers(torch.stack([read[m] for m in pair]), graph), strict=True):
                sums[modality] = sums[modality] + out
        return torch.cat([sums[m] for m in self.modalities], -1)


class PairLayers(nn.Module):
    """The K layers of one graph, which share their attention.

    Args:
        config: of the model.
    """

    def __init__(self, config: GraphMFTConfig) -> None:
        super().__init__()
        self.layers = config.layers
        self.attention = GraphAttention(config.hidden, config.heads)
        self.dropout = Dropout(config.graph_dropout)
        self.out = nn.Linear((config.layers + 1) * config.hidden, config.hidden)

    def forward(self, nodes: Tensor, graph: PairGraph) -> Tensor:
        """nodes [M, N, H] -> out [M, N, H]."""
        steps = [nodes]
        for _ in range(self.layers):
            steps.append(steps[-1] + self.dropout(self.attention(steps[-1], graph)))
        out: Tensor = self.out(torch.cat(steps, -1))
        return out


class GraphAttention(nn.Module):
    """The attention of one graph.

    Args:
        width: H, of nodes and every head.
        heads: h.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, heads * width, bias=False)
        self.source, self.target = (
            nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, width))) for _ in ("source", "target")
        )
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, nodes: Tensor, graph: PairGraph) -> Tensor:
        """nodes [M, N, H] -> y [M, N, H]."""
        values = self.map(nodes).unflatten(-1, self.source.shape).transpose(1, 2).contiguous()
        sources, targets = ((values @ weight.unsqueeze(-1)).squeeze(-1) for weight in (self.source, self.target))
        parts = zip(*(scores.split(graph.layout.lengths, -1) for scores in (sources, targets)), strict=True)
        within = [_score(heard.unsqueeze(-2), hears.unsqueeze(-1)) for heard, hears in parts]
        across = _score(sources.flip(0), targets) if len(nodes) > 1 else None
        return graph.attend(within, across, values) + self.bias


def _score(heard: Tensor, hears: Tensor) -> Tensor:
    return functional.leaky_relu(heard + hears, SLOPE)
