"""M3Net (Chen et al., 2023): a hypergraph, and pairs of nodes beside it, over utterances and modalities.

    v^m_i     = u^m_i, for text GRU(u)_i, and the speaker's embedding on one of them        [E]
    x^m_i     = W v^m_i + b                                                                 [F], a node

The hypergraph, L layers from h_0 = x. A hyperedge holds all nodes of a modality, another those of an utterance:

    d^m_i     = mean over j of h^m_j, u_i = mean over m of h^m_i, both of the layer before
    h^m_i     = leaky_0.01(s_m d^m_i + (1 - s_m) u_i + b_l)                                 s_m = 1/2, or learned

Pairs, K layers from p_0 = x. The neighbours q of (i, m) are all (j, m), j != i, and (i, m'), m' != m:

    p^m_i     = p + (sum over q of tanh(w_k . [p; q] + c_k) q) / (number of neighbours)     p, q of the layer before
    hidden_i  = [h^m_i; p^m_i for every m] of the last layers

With ``causal`` the GRU reads forwards, a modality's hyperedge holds the nodes j <= i and the neighbours the pairs
j < i, so that a node of no layer is ever computed again.

    N   utterances of the batch   n   of one dialogue   M   modalities   E   node width   F   graph width
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.data.dialogue import MODALITIES
from dclf.layout import Layout
from dclf.models.contract import BaseModel, BaseOutput
from dclf.models.dialogue_gru import DialogueGRU
from dclf.models.history import pool_history
from dclf.models.options import require, require_rate, require_size

SLOPE = 0.01
"""Of the leaky ReLU below zero."""


@dataclass(frozen=True, kw_only=True)
class M3NetConfig:
    """Hyperparameters of M3Net; the defaults are those of the authors' IEMOCAP program.

    Attributes:
        node_width: E, width of the modality encoders and of the GRU's output; even.
        width: F, width of both graphs.
        hyper_layers: L, layers of the hypergraph.
        pair_layers: K, layers of the pairs.
        edge_weights: learn how much a modality's hyperedge counts beside an utterance's; else as much.
        dropout: dropout rate between the GRU's layers.
    """

    node_width: int = 512
    width: int = 512
    hyper_layers: int = 3
    pair_layers: int = 4
    edge_weights: bool = False
    dropout: float = 0.5

    def __post_init__(self) -> None:
        require_size(
            node_width=self.node_width,
            width=self.width,
            hyper_layers=self.hyper_layers,
            pair_layers=self.pair_layers,
        )
        require(self.node_width % 2 == 0, "node_width", "even, half for each direction of the GRU", self.node_width)
        require_rate(dropout=self.dropout)


@dataclass(frozen=True, eq=False)
class M3NetMemory:
    """What a conversation leaves for its next utterance.

    Attributes:
        count: how many utterances there were.
        gru: the GRU's states; None without text.
        sums: per layer of the hypergraph the sum of its inputs, [M, F].
        nodes: per layer of the pairs its inputs, [M, count, F].
    """

    count: int
    gru: tuple[Tensor, ...] | None
    sums: tuple[Tensor, ...]
    nodes: tuple[Tensor, ...]


class M3Net(BaseModel):
    """M3Net on any subset of the modalities.

    ``hidden`` holds, per modality present in the order text, audio, visual, the F outputs of the hypergraph and the F
    of the pairs. ``state`` is the mean of all these parts, F wide: the context contrast maps states and contexts onto
    each other, which with all of ``hidden`` would cost more than the model. ``context`` pools the states of earlier
    utterances with the own state as query (``history.pool_history``).

    The speaker's embedding is added to text, as in the original; without text to the first modality present. The
    decoder is the contract's, ReLU, dropout and a linear layer, as the authors'.
    """

    Config = M3NetConfig
    streams = True

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: M3NetConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in MODALITIES if m in modalities)
        self.causal = causal
        self.encoder_width = config.node_width
        self.hidden_width = len(self.modalities) * 2 * config.width
        self.state_width = self.context_width = config.width
        self.speakers = nn.Embedding(speaker_count, config.node_width)
        half = config.node_width if causal else config.node_width // 2
        self.gru = (
            DialogueGRU(config.node_width, half, layers=2, bidirectional=not causal, dropout=config.dropout)
            if "text" in self.modalities
            else None
        )
        self.entry = nn.Linear(config.node_width, config.width)
        self.hypergraph = Hypergraph(
            config.width, config.hyper_layers, modalities=len(self.modalities), learned=config.edge_weights
        )
        self.pairs = Pairs(config.width, config.pair_layers)

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        text = None if self.gru is None else self.gru(encoded["text"], layout)
        with torch.autocast(speakers.device.type, enabled=False):
            nodes = self.nodes(encoded, text, speakers)
            hyper = self.hypergraph(nodes, layout, causal=self.causal)
            outputs = torch.cat((hyper, self.pairs(nodes, layout, causal=self.causal)), -1)
            state = outputs.unflatten(-1, (2, -1)).mean((1, 2))
            return BaseOutput(hidden=outputs.flatten(1), state=state, context=pool_history(state, layout))

    def nodes(self, encoded: Mapping[str, Tensor], text: Tensor | None, speakers: Tensor) -> Tensor:
        """x [N, M, F], with what the GRU made of the text [N, E]."""
        features = {modality: encoded[modality].to(self.entry.weight.dtype) for modality in self.modalities}
        if text is not None:
            features["text"] = text
        features[self.modalities[0]] = features[self.modalities[0]] + self.speakers(speakers)
        nodes: Tensor = self.entry(torch.stack(list(features.values()), 1))
        return nodes

    def hear(
        self, encoded: Mapping[str, Tensor], speaker: Tensor, memory: M3NetMemory | None
    ) -> tuple[Tensor, M3NetMemory]:
        """See ``BaseModel.hear``."""
        count = 0 if memory is None else memory.count
        text = states = None
        if self.gru is not None:
            text, states = self.gru.hear(encoded["text"], None if memory is None else memory.gru)
        nodes = self.nodes(encoded, text, speaker)
        hyper, sums = self.hypergraph.hear(nodes[0], count, None if memory is None else memory.sums)
        pairs, earlier = self.pairs.hear(nodes[0], None if memory is None else memory.nodes)
        return torch.cat((hyper, pairs), -1).view(1, -1), M3NetMemory(count + 1, states, sums, earlier)


class Hypergraph(nn.Module):
    """L layers over hyperedges of modalities and of utterances.

    Args:
        width: F.
        layers: L.
        modalities: M.
        learned: whether s_m is a parameter, 1/2 at first.
    """

    def __init__(self, width: int, layers: int, *, modalities: int, learned: bool) -> None:
        super().__init__()
        self.biases = nn.Parameter(torch.zeros(layers, width))
        self.shares = nn.Parameter(torch.zeros(modalities, 1)) if learned else None

    def forward(self, nodes: Tensor, layout: Layout, *, causal: bool) -> Tensor:
        """x [N, M, F] -> h_L [N, M, F]."""
        for bias in self.biases:
            nodes = self._layer(nodes, dialogue_means(nodes, layout, causal=causal), bias)
        return nodes

    def hear(self, nodes: Tensor, count: int, sums: Sequence[Tensor] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """x [M, F] after ``count`` utterances and the sums of the layers' inputs -> h_L [M, F] and the sums with it."""
        after = []
        for number, bias in enumerate(self.biases):
            after.append(nodes if sums is None else sums[number] + nodes)
            nodes = self._layer(nodes, after[-1] / (count + 1), bias)
        return nodes, tuple(after)

    def _layer(self, nodes: Tensor, means: Tensor, bias: Tensor) -> Tensor:
        """h [..., M, F] from those of the layer before and d."""
        of_utterance = nodes.mean(-2, keepdim=True)
        share = 0.5 if self.shares is None else self.shares.sigmoid()
        return functional.leaky_relu(of_utterance + share * (means - of_utterance) + bias, SLOPE)


class Pairs(nn.Module):
    """K layers of gated messages between two nodes.

    Args:
        width: F.
        layers: K.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(2 * width)
        self.weights = nn.Parameter(torch.empty(layers, width, 2).uniform_(-bound, bound))
        self.biases = nn.Parameter(torch.empty(layers).uniform_(-bound, bound))

    def forward(self, nodes: Tensor, layout: Layout, *, causal: bool) -> Tensor:
        """x [N, M, F] -> p_K [N, M, F]."""
        others = layout.time if causal else layout.length_tensor.index_select(0, layout.dialogue_of) - 1
        neighbours = (others + nodes.shape[1] - 1).clamp_min(1)[:, None, None]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            receiver, sender = (nodes @ weight).unbind(-1)
            receiver = receiver + bias
            messages = _along(nodes, receiver, sender, layout, causal=causal) + _across(nodes, receiver, sender)
            nodes = nodes + messages / neighbours
        return nodes

    def hear(self, nodes: Tensor, earlier: Sequence[Tensor] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """x [M, F] and the layers' inputs of earlier utterances [M, count, F] -> p_K [M, F] and the inputs with it."""
        after = []
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            past = nodes.new_empty(len(nodes), 0, nodes.shape[1]) if earlier is None else earlier[number]
            receiver, sender = (nodes @ weight).unbind(-1)
            gates = (past @ weight[:, 1] + (receiver + bias)[:, None]).tanh()
            messages = (gates[:, None] @ past)[:, 0] + _across(nodes, receiver + bias, sender)
            after.append(torch.cat((past, nodes[:, None]), 1))
            nodes = nodes + messages / max(1, past.shape[1] + len(nodes) - 1)
        return nodes, tuple(after)


def dialogue_means(nodes: Tensor, layout: Layout, *, causal: bool) -> Tensor:
    """Mean of nodes [N, ...] over their dialogue, or with ``causal`` over the utterances up to each: [N, ...]."""
    grid = layout.pad(nodes)
    ones = (1,) * (nodes.ndim - 1)
    if causal:
        return layout.pack(grid.cumsum(1)) / (layout.time + 1).view(-1, *ones)
    return (grid.sum(1) / layout.length_tensor.view(-1, *ones)).index_select(0, layout.dialogue_of)


def _along(nodes: Tensor, receiver: Tensor, sender: Tensor, layout: Layout, *, causal: bool) -> Tensor:
    """What nodes [N, M, F] hear of other utterances; the gates' halves [N, M] -> [N, M, F]."""
    parts = zip(*(rows.split(layout.lengths) for rows in (nodes, receiver, sender)), strict=True)
    heard = [_within(*(rows.transpose(0, 1) for rows in part), causal=causal) for part in parts]
    return torch.cat([rows.transpose(0, 1) for rows in heard])


def _within(nodes: Tensor, receiver: Tensor, sender: Tensor, *, causal: bool) -> Tensor:
    """One dialogue: nodes [M, n, F], the gates' halves [M, n] -> [M, n, F]."""
    others = torch.ones(nodes.shape[1], nodes.shape[1], dtype=nodes.dtype, device=nodes.device)
    others = others.tril(-1) if causal else others.fill_diagonal_(0)
    return ((receiver[:, :, None] + sender[:, None, :]).tanh() * others) @ nodes


def _across(nodes: Tensor, receiver: Tensor, sender: Tensor) -> Tensor:
    """What nodes [..., M, F] hear of the other modalities of their utterance; the gates' halves [..., M]."""
    heard = 1 - torch.eye(nodes.shape[-2], dtype=nodes.dtype, device=nodes.device)
    return ((receiver[..., :, None] + sender[..., None, :]).tanh() * heard) @ nodes
