"""GraphCFC (Li et al., 2023): graphs of two members each, which take one modality after the other in.

    x^m           = what the utterance's reader says of modality m                      see ``pair_graph``
    single^m      = LayerNorm(F^m(x^m)),  shared^m = LayerNorm(F(x^m)),  F(x) = W2 gelu(W1 x + b1) + b2
    share         = W [shared^m for every m] + b
    layer:  y     = attention over the graph of the two members                         see ``relation_attention``
            x'    = LayerNorm(x + y);  x'' = LayerNorm'(x' + F(x'))
    stage         = W [first; second] + b, after K times the same layer
    s_1           = stage_1(single^audio, single^visual), s_2 = stage_2(s_1, single^text), h = stage_3(s_2, share)

Two modalities form one pair, then a pair with share; one goes through a single stage on its own edges, and is then h.
The decoder is a linear layer. Four classifiers more read single^m and share; each has a cross-entropy in the loss.

    N   utterances of the batch   M   members of a graph   H   width   K   layers of a stage   C   emotion classes
    R   relations, see ``relation_attention``
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.losses.terms import Term
from dclf.models.contract import Auxiliary, BaseOutput, CrossEntropy
from dclf.models.dropout import Dropout
from dclf.models.history import pool_history
from dclf.models.options import require, require_rate, require_size, require_window
from dclf.models.pair_graph import PairGraph, PairGraphModel, groups
from dclf.models.relation_attention import Edges, RelationAttention, RelationGraph, relation_numbers

SHARE = "share"


@dataclass(frozen=True, kw_only=True)
class GraphCFCConfig:
    """Hyperparameters of GraphCFC; the defaults are those of the original's program, for both data sets.

    Attributes:
        hidden: H, width of nodes and states, and of the encoders of audio and visual.
        text_width: width of the text encoder.
        heads: h, of the attention.
        layers: K, how often a stage applies its layer.
        past: how many earlier utterances a node hears.
        future: how many later ones; none with ``model.causal``.
        single_weight: weight in the loss of the classifiers on one modality each; 0 leaves them out.
        share_weight: weight in the loss of the classifier on what the modalities share; 0 leaves it out.
        dropout: dropout rate of the LSTM, of the extractors and of the layers.
    """

    hidden: int = 200
    text_width: int = 400
    heads: int = 4
    layers: int = 5
    past: int = 18
    future: int = 18
    single_weight: float = 1.0
    share_weight: float = 1.0
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require_size(hidden=self.hidden, text_width=self.text_width, heads=self.heads, layers=self.layers)
        require_window(self.past, self.future)
        require(0 <= self.single_weight < math.inf, "single_weight", "0 or more", self.single_weight)
        require(0 <= self.share_weight < math.inf, "share_weight", "0 or more", self.share_weight)
        require_rate(dropout=self.dropout)


class GraphCFC(PairGraphModel):
    """GraphCFC on any subset of the modalities.

    ``hidden`` = ``state`` is h; ``context`` pools the states of earlier utterances (``history.pool_history``). With
    ``causal`` the LSTM reads forwards only and no node hears a later utterance. ``auxiliary`` of the output holds what
    the classifiers of its name read.
    """

    Config = GraphCFCConfig

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: GraphCFCConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        width, rate = config.hidden, config.dropout
        self.single = nn.ModuleDict({m: ShareExtractor(width, rate) for m in self.modalities})
        self.members = min(2, len(self.modalities))
        if self.members > 1:
            self.shared = ShareExtractor(width, rate)
            self.share = nn.Linear(len(self.modalities) * width, width)
        self.register_buffer("numbers", relation_numbers(speaker_count), persistent=False)
        relations = speaker_count * (speaker_count + 1) // 2 + (self.members > 1)
        self.relations = nn.Embedding(relations, width)
        self.stages = nn.ModuleList(Stage(self.members, config) for _ in self.modalities)
        self.weights = _weights(self.modalities, config)

    def auxiliary(self, class_names: Sequence[str]) -> Auxiliary | None:
        """See ``BaseModel.auxiliary``."""
        return Classifiers(self.weights, self.hidden_width, len(class_names)) if self.weights else None

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        with torch.autocast(speakers.device.type, enabled=False):
            read = self.reader(encoded, speakers, layout)
            parts = {m: self.single[m](read[m]) for m in self.modalities}
            if self.members > 1:
                parts[SHARE] = self.share(torch.cat([self.shared(read[m]) for m in self.modalities], -1))
            hidden = torch.cat(
                [
                    self._stages([part[rows] for part in parts.values()], speakers[rows], dialogues)
                    for rows, dialogues in groups(layout)
                ]
            )
            context = pool_history(hidden, layout)
        auxiliary = {name: parts[name] for name in self.weights}
        return BaseOutput(hidden=hidden, state=hidden, context=context, auxiliary=auxiliary)

    def _stages(self, parts: Sequence[Tensor], speakers: Tensor, layout: Layout) -> Tensor:
        """h [N, H] of the parts [N, H] in the order in which they are taken in."""
        graph = RelationGraph(
            PairGraph(layout, self.past, self.future), speakers, self.get_buffer("numbers"), self.members
        )
        hidden, *later = parts
        if not later:
            alone: Tensor = self.stages[0](hidden.unsqueeze(0), self.relations.weight, graph)
            return alone
        for stage, part in zip(self.stages, later, strict=True):
            hidden = stage(torch.stack((hidden, part)), self.relations.weight, graph)
        return hidden


def _weights(modalities: Sequence[str], config: GraphCFCConfig) -> dict[str, float]:
    """Name of what a classifier reads -> its weight, where that is above 0."""
    weights = dict.fromkeys(modalities, config.single_weight)
    if len(modalities) > 1:
        weights[SHARE] = config.share_weight
    return {name: weight for name, weight in weights.items() if weight}


class FeedForward(nn.Sequential):
    """F, H -> 2H -> H.

    Args:
        width: H.
        rate: dropout rate after both layers.
    """

    def __init__(self, width: int, rate: float) -> None:
        layers = nn.Linear(width, 2 * width), nn.GELU(), Dropout(rate), nn.Linear(2 * width, width), Dropout(rate)
        super().__init__(*layers)


class ShareExtractor(nn.Sequential):
    """LayerNorm(F(x)); see ``FeedForward``."""

    def __init__(self, width: int, rate: float) -> None:
        super().__init__(FeedForward(width, rate), nn.LayerNorm(width))


class Stage(nn.Module):
    """K times one layer on a graph, whose members are then joined.

    Args:
        members: M.
        config: of the model.
    """

    def __init__(self, members: int, config: GraphCFCConfig) -> None:
        super().__init__()
        self.layers = config.layers
        self.attention = RelationAttention(config.hidden, config.heads)
        self.norm = nn.LayerNorm(config.hidden)
        self.feed = FeedForward(config.hidden, config.dropout)
        self.feed_norm = nn.LayerNorm(config.hidden)
        self.join = nn.Linear(2 * config.hidden, config.hidden) if members > 1 else None

    def forward(self, nodes: Tensor, relations: Tensor, graph: RelationGraph) -> Tensor:
        """nodes [M, N, H], relations [R, H] -> [N, H]."""
        edges = self.attention.edges(relations, graph)
        for _ in range(self.layers):
            if torch.is_grad_enabled():
                # What lies between the nodes of two layers is made again for the gradient: kept, it would take a GiB.
                nodes = checkpoint(self._layer, nodes, edges, [], use_reentrant=False)
            else:
                nodes = self._layer(nodes, edges, [])
        joined: Tensor = nodes[0] if self.join is None else self.join(torch.cat(tuple(nodes), -1))
        return joined

    def _layer(self, nodes: Tensor, edges: Edges, cache: list[Tensor]) -> Tensor:
        nodes = self.norm(nodes + self.attention(nodes, edges, cache))
        after: Tensor = self.feed_norm(nodes + self.feed(nodes))
        return after


class Classifiers(Auxiliary):
    """A linear classifier on each modality's own part and on the shared one.

    Args:
        weights: name of what a classifier reads in ``BaseOutput.auxiliary`` -> weight of its term, which has that name.
        width: H.
        classes: C.
    """

    def __init__(self, weights: Mapping[str, float], width: int, classes: int) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.heads = nn.ModuleDict({name: nn.Linear(width, classes) for name in weights})

    def forward(
        self,
        output: BaseOutput,
        logits: Tensor,  # noqa: ARG002 (the contract's; these classifiers decide by themselves)
        batch: Batch,
        cross_entropy: CrossEntropy,
    ) -> Mapping[str, Term]:
        """See ``Auxiliary.forward``; an utterance without features in a modality does not count in its term."""
        return {name: self._term(name, output.auxiliary[name], batch, cross_entropy) for name in self.weights}

    def _term(self, name: str, rows: Tensor, batch: Batch, cross_entropy: CrossEntropy) -> Term:
        labels = batch.labels
        if name in batch.present:
            there = batch.present[name].nonzero()[:, 0]
            rows, labels = rows[there], labels[there]
        return cross_entropy(self.heads[name](rows), labels)
