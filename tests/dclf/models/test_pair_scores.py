"""The scores of pairs of utterances and their gradient, against every pair by itself."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import leaky_relu
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.pair_graph import PairGraph
from dclf.models.pair_scores import ROWS, SLOPE, PairTiles, pair_scores

HEADS, WIDTH, SPEAKERS = 2, 3, 3


def inputs(members: int, utterances: int) -> tuple[Tensor, ...]:
    """sources, targets, between, attention, with gradients."""
    generator = torch.Generator().manual_seed(utterances)
    shapes = [(members, HEADS, utterances, WIDTH)] * 2 + [(HEADS, SPEAKERS, SPEAKERS, WIDTH), (HEADS, WIDTH)]
    return tuple(torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes)


def one_by_one(tensors: tuple[Tensor, ...], speakers: Tensor, layout: Layout) -> list[Tensor]:
    sources, targets, between, attention = tensors
    blocks = []
    for rows in torch.arange(layout.utterances).split(layout.lengths):
        edges = between[:, speakers[rows]][:, :, speakers[rows]]
        sums = sources[:, :, rows].unsqueeze(2) + targets[:, :, rows].unsqueeze(3) + edges
        blocks.append((leaky_relu(sums, SLOPE) * attention[:, None, None]).sum(-1))
    return blocks


@settings(max_examples=25)
@given(
    lengths=st.lists(st.one_of(st.integers(1, 5), st.integers(ROWS, 3 * ROWS)), min_size=1, max_size=3),
    members=st.integers(1, 2),
    window=st.tuples(st.integers(1, 9), st.integers(0, 9)),
)
def test_scores_and_gradients(lengths: list[int], members: int, window: tuple[int, int]) -> None:
    layout = Layout.of(lengths)
    graph, speakers = PairGraph(layout, *window), torch.arange(layout.utterances).square() % SPEAKERS
    tensors = inputs(members, layout.utterances)
    blocks = pair_scores(*tensors, PairTiles.of(graph, speakers, SPEAKERS), [])
    expected = one_by_one(tensors, speakers, layout)
    ours, theirs = (heard_alone(each, graph) for each in (blocks, expected))
    assert_close(ours, theirs, atol=1e-10, rtol=0)
    weights = torch.arange(len(ours), dtype=ours.dtype).sin()
    gradients = (torch.autograd.grad((each * weights).sum(), tensors) for each in (ours, theirs))
    for mine, right in zip(*gradients, strict=True):
        assert_close(mine, right, atol=1e-10, rtol=0)


def heard_alone(blocks: list[Tensor] | tuple[Tensor, ...], graph: PairGraph) -> Tensor:
    return torch.cat([block[..., heard].flatten() for block, heard in zip(blocks, graph.hearing, strict=True)])


def test_scores_that_were_kept_are_given_again_with_their_gradient() -> None:
    layout, speakers = Layout.of([4]), torch.tensor([0, 1, 1, 0])
    tiles, tensors, cache = PairTiles.of(PairGraph(layout, 2, 1), speakers, SPEAKERS), inputs(1, 4), []
    (first,) = pair_scores(*tensors, tiles, cache)
    (second,) = pair_scores(*tensors, tiles, cache)
    assert len(cache) == 1
    assert torch.equal(first, second)
    for one, other in zip(*(torch.autograd.grad(s.sum(), tensors) for s in (first, second)), strict=True):
        assert torch.equal(one, other)
