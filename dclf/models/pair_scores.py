"""The scores of ``relation_attention`` between the utterances of a dialogue, with the gradient by hand.

    S_ij = att . leaky(k_j + r_i),   k_j = l_j + e(speaker of i, speaker of j)
         = a att . (k_j + r_i) + b att . |k_j + r_i|                       a = (1 + slope) / 2,  b = (1 - slope) / 2
    dS_ij / dk_j = dS_ij / dr_i = att * (a + b sign(k_j + r_i))
    dS_ij / datt = (k_j + r_i) * (a + b sign(k_j + r_i))

Every S_ij needs a vector of its own, [H]: all of them together would be hundreds of times the size of l and r. They are
made a tile at a time, small enough for a processor's cache, once for the scores and twice for the gradient (once in
each order, because sums run over the rows there and over the columns here), and are never kept. The rows of a tile have
one speaker, so that k is one addition for all of them.

    N   utterances of the batch   n   of one dialogue   M   members   h   heads   H   width   S   speakers   K = M h
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dclf.layout import Layout
from dclf.models.gradient import by_hand
from dclf.models.pair_graph import SLOPE, PairGraph

LINEAR, BENT = (1 + SLOPE) / 2, (1 - SLOPE) / 2

ROWS, ROWS_ON_GPU = 4, 16
"""Of a tile. The rows of one speaker lie apart, and a tile has every column that one of them hears: the fewer rows, the
fewer of these pairs are not needed. 4 rows with 26 columns of 200 numbers, 4 heads and 2 members take 650 KiB."""


@dataclass(frozen=True, eq=False)
class Segment:
    """The utterances of one speaker in one dialogue.

    Attributes:
        dialogue: its position in the batch.
        whole: the rows of the dialogue.
        speaker: who.
        rows: int64, the rows of the segment.
        tiles: places within the segment, and the places within the dialogue that any of them hears.
    """

    dialogue: int
    whole: slice
    speaker: int
    rows: Tensor
    tiles: tuple[tuple[slice, slice], ...]

    @property
    def places(self) -> Tensor:
        """int64, where the rows of the segment lie within the dialogue."""
        return torch.sub(self.rows, self.whole.start)


@dataclass(frozen=True, eq=False)
class PairTiles:
    """How the pairs of utterances of a batch are cut up.

    Attributes:
        layout: which rows form which dialogue.
        who: bool [N, S], who speaks.
        segments: all of them, dialogue after dialogue.
    """

    layout: Layout
    who: Tensor
    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, graph: PairGraph, speakers: Tensor, count: int) -> PairTiles:
        """The tiles of a batch's graph with these speakers, 0 .. count - 1."""
        who = functional.one_hot(speakers, count).bool()
        return cls(graph.layout, who, tuple(_segments(graph, speakers)))


def _segments(graph: PairGraph, speakers: Tensor) -> Iterator[Segment]:
    start = 0
    for dialogue, length in enumerate(graph.layout.lengths):
        whole = slice(start, start + length)
        for speaker in speakers[whole].unique().tolist():
            places = (speakers[whole] == speaker).nonzero()[:, 0]
            tiles = tuple(_tiles(graph, places.tolist(), length))
            yield Segment(dialogue, whole, speaker, places + start, tiles)
        start = whole.stop


def _tiles(graph: PairGraph, places: list[int], length: int) -> Iterator[tuple[slice, slice]]:
    count = ROWS if graph.layout.device.type == "cpu" else ROWS_ON_GPU
    for first in range(0, len(places), count):
        mine = places[first : first + count]
        heard = slice(max(0, mine[0] - graph.past), min(length, mine[-1] + graph.future + 1))
        yield slice(first, first + len(mine)), heard


def pair_scores(
    sources: Tensor, targets: Tensor, between: Tensor, attention: Tensor, tiles: PairTiles, cache: list[Tensor]
) -> tuple[Tensor, ...]:
    """Per dialogue S [M, h, n, n], row hears column; of no meaning where it does not.

    Args:
        sources: l [M, h, N, H].
        targets: r [M, h, N, H].
        between: e [h, S, S, H] of each pair of speakers.
        attention: att [h, H].
        tiles: of the batch.
        cache: the scores of this very call where it is run again for its gradient (``torch.utils.checkpoint``); empty
            before, and then filled.
    """
    members = len(sources)
    repeated = between.repeat(members, 1, 1, 1), attention.repeat(members, 1)
    blocks = _Scores.apply(sources.flatten(0, 1), targets.flatten(0, 1), *repeated, tiles, cache)  # type: ignore[no-untyped-call]
    return tuple(block.unflatten(0, (members, -1)) for block in blocks)


class _Scores(torch.autograd.Function):
    """sources, targets [K, N, H], between [K, S, S, H], attention [K, H] -> per dialogue S [K, n, n]."""

    @staticmethod
    def forward(
        ctx: Any,
        sources: Tensor,
        targets: Tensor,
        between: Tensor,
        attention: Tensor,
        tiles: PairTiles,
        cache: list[Tensor],
    ) -> tuple[Tensor, ...]:
        ctx.tiles = tiles
        ctx.save_for_backward(sources, targets, between, attention)
        if not cache:
            cache.extend(_blocks(sources, targets, between, attention, tiles))
        return tuple(block.detach() for block in cache)

    @staticmethod
    @by_hand
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        sources, targets, between, attention = ctx.saved_tensors
        tiles: PairTiles = ctx.tiles
        on_sources, on_between = torch.zeros_like(sources), torch.zeros_like(between)
        on_targets, on_attention = torch.empty_like(targets), torch.zeros_like(attention)
        sums = _Sums(sources)
        for segment in tiles.segments:
            keys, rows = _keys(sources, between, tiles, segment), targets.index_select(1, segment.rows)
            grad = grads[segment.dialogue].index_select(1, segment.places)
            on_rows, on_keys = _slopes(grad, rows, keys, segment, sums)
            on_attention += (on_rows * rows).sum(1) + (on_keys * keys).sum(1)
            on_keys *= attention.unsqueeze(1)
            on_sources[:, segment.whole] += on_keys
            on_between[:, segment.speaker] += tiles.who[segment.whole].T.to(on_keys.dtype) @ on_keys
            on_targets.index_copy_(1, segment.rows, on_rows.mul_(attention.unsqueeze(1)))
        return on_sources, on_targets, on_between, on_attention, None, None


def _blocks(sources: Tensor, targets: Tensor, between: Tensor, attention: Tensor, tiles: PairTiles) -> list[Tensor]:
    """Per dialogue S [K, n, n]."""
    blocks = [sources.new_empty(len(sources), n, n) for n in tiles.layout.lengths]
    sums = _Sums(sources)
    for segment in tiles.segments:
        keys, rows = _keys(sources, between, tiles, segment), targets.index_select(1, segment.rows)
        scores = LINEAR * (_dots(rows, attention).unsqueeze(2) + _dots(keys, attention).unsqueeze(1))
        for mine, heard in segment.tiles:
            bent = sums.of(rows[:, mine], keys[:, heard]).abs_()
            scores[:, mine, heard] += BENT * _dots(bent.flatten(1, 2), attention).view(bent.shape[:3])
        blocks[segment.dialogue].index_copy_(1, segment.places, scores)
    return blocks


class _Sums:
    """k_j + r_i for the tiles of one pass, all in the same memory.

    Args:
        like: l [K, N, H].
    """

    def __init__(self, like: Tensor) -> None:
        self._memory = like.new_empty(0)

    def of(self, rows: Tensor, columns: Tensor) -> Tensor:
        """rows [K, p, H], columns [K, q, H] -> [K, p, q, H], until the next call."""
        shape = (*rows.shape[:2], *columns.shape[1:])
        count = torch.Size(shape).numel()
        if len(self._memory) < count:
            self._memory = rows.new_empty(count)
        return torch.add(rows.unsqueeze(2), columns.unsqueeze(1), out=self._memory[:count].view(shape))


def _keys(sources: Tensor, between: Tensor, tiles: PairTiles, segment: Segment) -> Tensor:
    """k [K, n, H] as the segment's speaker hears it."""
    who = tiles.who[segment.whole].to(sources.dtype)
    return sources[:, segment.whole] + who @ between[:, segment.speaker]


def _dots(rows: Tensor, attention: Tensor) -> Tensor:
    """rows [K, p, H], attention [K, H] -> [K, p]."""
    # The vector goes first: a batched product with it as the second factor takes ten times as long on a CPU.
    return torch.bmm(attention.unsqueeze(1), rows.transpose(1, 2)).squeeze(1)


def _slopes(grad: Tensor, rows: Tensor, keys: Tensor, segment: Segment, sums: _Sums) -> tuple[Tensor, Tensor]:
    """Sums of grad_ij (a + b sign(k_j + r_i)) over j, [K, p, H], and over i, [K, n, H]; grad [K, p, n]."""
    on_rows = (LINEAR * grad.sum(2, keepdim=True)).expand_as(rows).clone()
    on_keys = (LINEAR * grad.sum(1).unsqueeze(2)).expand_as(keys).clone()
    for mine, heard in segment.tiles:
        part = BENT * grad[:, mine, heard]
        on_rows[:, mine] += _weighted(part, sums.of(rows[:, mine], keys[:, heard]).sign_())
        on_keys[:, heard] += _weighted(part.transpose(1, 2), sums.of(keys[:, heard], rows[:, mine]).sign_())
    return on_rows, on_keys


def _weighted(weights: Tensor, values: Tensor) -> Tensor:
    """weights [K, p, q], values [K, p, q, H] -> their sum over q, [K, p, H]."""
    return torch.bmm(weights.flatten(0, 1).unsqueeze(1), values.flatten(0, 1)).view(*weights.shape[:2], -1)
