"""GraphSmile (Li et al., 2025): graphs of two modalities, in which every layer hears the other one.

    v^m_i     = dropout(leaky_0.01(u^m_i))                                          a node
    g         = the graph of each pair of modalities over its nodes                 ``pair_streams``; both members
    hidden_i  = mean over the pairs and their members of leaky(W g_i + b)

With ``causal`` no utterance hears a later one, and ``hidden`` reads the K P utterances before it. What the layers said
of an utterance never changes then, and P utterances of each are all that a conversation has to keep.

    N   utterances of the batch   G   pairs   H   width   K   layers of a graph   P   how many earlier ones are heard
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.layout import Layout
from dclf.models.contract import Auxiliary, BaseModel, BaseOutput
from dclf.models.dropout import Dropout
from dclf.models.history import pool_history
from dclf.models.options import require, require_rate, require_size, require_window
from dclf.models.pair_streams import SLOPE, Adjacency, PairStreams
from dclf.models.sentiment import SentimentTerms, sentiments_of

ORDER = ("text", "visual", "audio")
"""Order of the modalities, and so of the pairs."""


@dataclass(frozen=True, kw_only=True)
class GraphSmileConfig:
    """Hyperparameters of GraphSmile; the defaults are those of the authors' IEMOCAP program.

    Attributes:
        width: H, of the modality encoders and of every layer.
        layers: K, layers of each pair's graph.
        past: P, how many earlier utterances one hears.
        future: how many later ones; none with causal.
        shift_window: how many utterances are compared with each other in the shift term.
        sentiment_weight: of the sentiment's cross-entropy in the loss; 0 switches its head off.
        shift_weight: of the cross-entropy of sentiment shifts; 0 switches its head off.
        dropout: dropout rate of the nodes and of what every layer adds.
    """

    width: int = 512
    layers: int = 7
    past: int = 17
    future: int = 17
    shift_window: int = 19
    sentiment_weight: float = 1.0
    shift_weight: float = 0.7
    dropout: float = 0.2

    def __post_init__(self) -> None:
        require_size(width=self.width, layers=self.layers, shift_window=self.shift_window)
        require_window(self.past, self.future)
        for name, weight in (("sentiment_weight", self.sentiment_weight), ("shift_weight", self.shift_weight)):
            require(0 <= weight < math.inf, name, "0 or more", weight)
        require_rate(dropout=self.dropout)


@dataclass(frozen=True, eq=False)
class GraphSmileMemory:
    """What a conversation leaves for its next utterance.

    Attributes:
        count: how many utterances there were.
        streams: of each pair, as ``PairStreams.hear`` gives them; None before the first.
    """

    count: int
    streams: tuple[tuple[Tensor, ...] | None, ...]


class GraphSmile(BaseModel):
    """GraphSmile on any subset of the modalities, and one alone as a pair with itself; speakers are unknown to it.

    ``hidden`` = ``state`` is the mean of all members. ``context`` pools the states of earlier utterances with the own
    state as query (``history.pool_history``). The decoder is the authors': one linear layer, no ReLU.
    """

    Config = GraphSmileConfig
    streams = True

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: GraphSmileConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        present = [m for m in ORDER if m in modalities]
        self.members = tuple(combinations(present, 2)) or ((present[0], present[0]),)
        self.config = config
        self.encoder_width = self.hidden_width = self.state_width = self.context_width = config.width
        self.dropout = Dropout(config.dropout)
        self.window = config.past, 0 if causal else config.future
        self.graphs = nn.ModuleList(
            PairStreams(config.width, config.layers, past=config.past, dropout=config.dropout) for _ in self.members
        )
        self.fusion = nn.Linear(config.width, config.width)

    def forward(
        self,
        encoded: Mapping[str, Tensor],
        speakers: Tensor,  # noqa: ARG002 (the contract's; the authors' model does not ask who speaks)
        layout: Layout,
    ) -> BaseOutput:
        """See ``BaseModel.forward``."""
        nodes = self._nodes(encoded)
        with torch.autocast(nodes[0].device.type, enabled=False):
            adjacency = Adjacency.of(layout, *self.window, nodes[0])
            hidden = self._fused([graph(rows, adjacency) for graph, rows in zip(self.graphs, nodes, strict=True)])
            return BaseOutput(hidden=hidden, state=hidden, context=pool_history(hidden, layout))

    def hear(
        self,
        encoded: Mapping[str, Tensor],
        speaker: Tensor,  # noqa: ARG002
        memory: GraphSmileMemory | None,
    ) -> tuple[Tensor, GraphSmileMemory]:
        """See ``BaseModel.hear``."""
        memory = memory or GraphSmileMemory(0, (None,) * len(self.members))
        outputs, streams = [], []
        for graph, rows, earlier in zip(self.graphs, self._nodes(encoded), memory.streams, strict=True):
            output, after = graph.hear(rows[0], memory.count, earlier)  # type: ignore[operator]
            outputs.append(output[None])
            streams.append(after)
        return self._fused(outputs), GraphSmileMemory(memory.count + 1, tuple(streams))

    def _nodes(self, encoded: Mapping[str, Tensor]) -> list[Tensor]:
        """v of both members of each pair, [N, 2, H]."""
        dtype = self.fusion.weight.dtype
        nodes = {m: self.dropout(functional.leaky_relu(rows.to(dtype), SLOPE)) for m, rows in encoded.items()}
        return [torch.stack([nodes[m] for m in pair], 1) for pair in self.members]

    def _fused(self, graphs: Sequence[Tensor]) -> Tensor:
        """The graphs' outputs [N, 2, H] -> [N, H]."""
        members = [functional.leaky_relu_(self.fusion(graph), SLOPE).sum(1) for graph in graphs]
        return torch.stack(members).sum(0) / (2 * len(members))

    def decoder(self, width: int, classes: int) -> nn.Module:
        """See ``BaseModel.decoder``."""
        return nn.Linear(width, classes)

    @classmethod
    def check_classes(cls, config: GraphSmileConfig, class_names: Sequence[str]) -> None:
        """See ``BaseModel.check_classes``: with either head, every emotion has a known sentiment."""
        if config.sentiment_weight or config.shift_weight:
            sentiments_of(class_names)

    def auxiliary(self, class_names: Sequence[str]) -> Auxiliary | None:
        """See ``BaseModel.auxiliary``.

        Raises:
            ValueError: an emotion has no known sentiment.
        """
        by_name = {"sentiment": self.config.sentiment_weight, "shift": self.config.shift_weight}
        weights = {name: weight for name, weight in by_name.items() if weight}
        return SentimentTerms(self.hidden_width, class_names, weights, self.config.shift_window) if weights else None
