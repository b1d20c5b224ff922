"""Attention over edges that carry a relation (GATv2: Brody, Alon and Yahav, 2022), as GraphCFC has it on its graphs.

    l = W_l x + b_l,  r = W_r x + b_r,  e_q = W_e relation_q                      per head
    score(i hears j) = att . leaky(l_j + r_i + e_q(i,j))                          leaky: slope 0.2 below zero
    q(i, j)          = the unordered pair of the two speakers; across members one relation more, "modal"
    e_q(i,i)         = the mean of e over whatever else i hears, the edge across included; zero where that is nothing
    y                = what ``PairGraph.attend`` makes of the scores and the values l, plus a bias

The model applies one attention several times, so that what depends on the relations alone is computed once
(``RelationAttention.edges``).

    N   utterances of the batch   n   of one dialogue   M   members   h   heads   H   width   S   speakers
    R   relations: S (S + 1) / 2, and one more where there is a pair
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.models.pair_graph import SLOPE, PairGraph
from dclf.models.pair_scores import PairTiles, pair_scores


def relation_numbers(speakers: int) -> Tensor:
    """int64 [S, S], the number of each unordered pair: (0, 0), (0, 1), .., (1, 1), (1, 2), .."""
    numbers = torch.zeros(speakers, speakers, dtype=torch.int64)
    first, second = torch.triu_indices(speakers, speakers)
    numbers[first, second] = numbers[second, first] = torch.arange(len(first))
    return numbers


@dataclass(frozen=True, eq=False)
class RelationGraph:
    """The edges of one batch with their relations.

    Attributes:
        graph: what hears what.
        speakers: int64 [N].
        numbers: int64 [S, S], see ``relation_numbers``.
        members: M, 1 or 2.
    """

    graph: PairGraph
    speakers: Tensor
    numbers: Tensor
    members: int

    @cached_property
    def tiles(self) -> PairTiles:
        """Which pairs of utterances are scored together."""
        return PairTiles.of(self.graph, self.speakers, len(self.numbers))

    @cached_property
    def loops(self) -> Tensor:
        """float64 [N, R], the share of each relation in whatever else an utterance hears."""
        who = functional.one_hot(self.speakers, len(self.numbers)).double()
        parts = zip(self.graph.hearing, who.split(self.graph.layout.lengths), strict=True)
        counts = torch.cat([heard.double() @ speaks for heard, speaks in parts]) - who
        pairs = int(self.numbers[-1, -1]) + 1
        shares = counts.new_zeros(len(who), pairs).scatter(1, self.numbers[self.speakers], counts)
        if self.members > 1:
            shares = torch.cat((shares, shares.new_ones(len(who), 1)), 1)
        return shares / shares.sum(1, keepdim=True).clamp_min(1)


@dataclass(frozen=True, eq=False)
class Edges:
    """What the relations add to the scores of one attention on one graph.

    Attributes:
        graph: the edges.
        between: [h, S, S, H], e of each pair of speakers.
        loops: [h, N, H], e of the self loops.
        modal: [h, 1, H], e of the edges across; None where there is one member.
    """

    graph: RelationGraph
    between: Tensor
    loops: Tensor
    modal: Tensor | None


class RelationAttention(nn.Module):
    """One attention layer on the nodes of a graph with relations.

    Args:
        width: H, of nodes, relations and every head.
        heads: h.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.source, self.target = nn.Linear(width, heads * width), nn.Linear(width, heads * width)
        self.relation = nn.Linear(width, heads * width, bias=False)
        self.attention = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, width)))
        self.bias = nn.Parameter(torch.zeros(width))

    def edges(self, relations: Tensor, graph: RelationGraph) -> Edges:
        """The part of the relations [R, H] in the scores on this graph."""
        each = self._heads(self.relation(relations))
        loops = self._heads(graph.loops.to(relations.dtype) @ self.relation(relations))
        modal = each[:, -1:] if graph.members > 1 else None
        return Edges(graph, each[:, graph.numbers], loops, modal)

    def forward(self, nodes: Tensor, edges: Edges, cache: list[Tensor]) -> Tensor:
        """y [M, N, H].

        Args:
            nodes: [M, N, H].
            edges: on which graph.
            cache: empty, for the scores; the same list where this call is run again for its gradient.
        """
        sources, targets = (self._heads(layer(nodes)).contiguous() for layer in (self.source, self.target))
        own, across = self._alone(sources, targets, edges)
        graph = edges.graph
        scores = pair_scores(sources, targets, edges.between, self.attention, graph.tiles, cache)
        within = [_with_loops(*part) for part in zip(scores, own.split(graph.graph.layout.lengths, -1), strict=True)]
        return graph.graph.attend(within, across, sources) + self.bias

    def _heads(self, rows: Tensor) -> Tensor:
        """[..., K, hH] -> [..., h, K, H]."""
        return rows.view(*rows.shape[:-1], *self.attention.shape).transpose(-3, -2)

    def _alone(self, sources: Tensor, targets: Tensor, edges: Edges) -> tuple[Tensor, Tensor | None]:
        """Scores [M, h, N] of the self loops and of the edges across."""
        own = self._score(sources + targets + edges.loops)
        return own, None if edges.modal is None else self._score(sources.flip(0) + targets + edges.modal)

    def _score(self, heard: Tensor) -> Tensor:
        """[..., h, N, H] -> [..., h, N]."""
        return (functional.leaky_relu(heard, SLOPE) @ self.attention.unsqueeze(-1)).squeeze(-1)


def _with_loops(scores: Tensor, own: Tensor) -> Tensor:
    """Scores [M, h, n, n] of one dialogue with those of its self loops [M, h, n] in the diagonal."""
    diagonal = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
    return torch.where(diagonal, own.unsqueeze(-1), scores)
