"""The graph of a pair against its equations, side by side, with the gradients of automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.dropout import keep_mask
from dclf.models.pair_streams import Adjacency, PairStreams, normalised_band

LAYOUT = Layout.of([6, 1, 3])
RATE = 0.3


def streams_and_nodes(past: int) -> tuple[PairStreams, Tensor]:
    torch.manual_seed(8)
    graph = PairStreams(4, 3, past=past, dropout=RATE).double()
    return graph, torch.randn(LAYOUT.utterances, 2, 4, dtype=torch.float64, requires_grad=True)


def other_member(nodes: Tensor, past: int, future: int) -> Tensor:
    """A of the other member's rows [N, 2, H], utterance by utterance."""
    out, starts = torch.zeros_like(nodes), LAYOUT.starts.tolist()
    for start, n in zip(starts, LAYOUT.lengths, strict=True):
        windows = [range(max(0, i - past), min(n, i + future + 1)) for i in range(n)]
        for i, window in enumerate(windows):
            for j in window:
                weight = (len(window) * len(windows[j])) ** -0.5
                out[start + i] += weight * nodes[start + j].flip(0)
    return out


def reference(graph: PairStreams, nodes: Tensor, future: int, keeps: list[Tensor]) -> Tensor:
    out = nodes
    for keep, weight, bias, share, share_bias in zip(keeps, *graph.parts(), strict=True):
        nodes = other_member(nodes, graph.past, future) @ weight + bias
        out = out + functional.leaky_relu(nodes @ share + share_bias, 0.01) * keep
    return out


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("past", "future"), [(2, 1), (1, 0), (9, 9)])
def test_it_computes_the_equations_with_their_gradients(past: int, future: int, training: bool) -> None:
    graph, nodes = streams_and_nodes(past)
    graph.train(training)
    torch.manual_seed(1)
    ours = graph(nodes, Adjacency.of(LAYOUT, past, future, nodes))
    torch.manual_seed(1)
    keeps = [keep_mask((20, 4), RATE, ours).view_as(ours) if training else torch.ones_like(ours) for _ in range(3)]
    # An odd layer's share is drawn where its features lie, with the other member.
    keeps = [keep if layer % 2 else keep.flip(1) for layer, keep in enumerate(keeps)]
    theirs = reference(graph, nodes, future, keeps)
    assert_close(ours, theirs, atol=1e-12, rtol=0)
    mixture = torch.randn_like(ours)
    inputs = [nodes, *graph.parts()]
    for mine, right in zip(*(torch.autograd.grad((o * mixture).sum(), inputs) for o in (ours, theirs)), strict=True):
        assert right.any()
        assert_close(mine, right, atol=1e-12, rtol=0)


def test_a_band_is_normalised_by_what_both_ends_hear() -> None:
    rows = normalised_band(4, 1, 2)
    assert torch.equal(
        rows > 0, torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]], dtype=torch.bool)
    )
    assert_close(rows[0, 1], torch.tensor(1 / 12**0.5, dtype=torch.float64))
    assert_close(rows[3, 2], torch.tensor(1 / 6**0.5, dtype=torch.float64))
