"""Graphs of two modalities, in which every layer of an utterance hears the other one (GraphSmile).

A member of pair (a, b) is an utterance in a or in b. Utterance i of one hears j of the other, i - P <= j <= i + Q, i
itself included; c_i is the number of those that i hears. K layers from the nodes X_0, of weights of their own per pair:

    A_ij      = 1 / sqrt(c_i c_j), 0 where i does not hear j
    X_k       = (A x^b W_k + b_k, A x^a W_k + b_k)                                  (x^a, x^b) = X_{k-1}
    out       = X_0 + sum_k dropout(leaky_0.01(X_k F_k + f_k))

An odd X_k holds what the other modality says, an even one the own. So each modality's features walk alone: the
*streams* y_k = A y_{k-1} W_k + b_k never change sides, and the shares of odd layers are added to the other side at the
end. Gradients are by hand: kept are the streams and a sign per share, not what lies between them.

    N   utterances of the batch   n   of one dialogue   G   pairs   H   width   K   layers   P, Q   past, future
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.layout import Layout
from dclf.models.dropout import keep_mask
from dclf.models.gradient import by_hand

SLOPE = 0.01
"""Of the LeakyReLU below 0."""


class PairGraphs(nn.Module):
    """The graphs of all pairs, which walk through their layers together.

    Args:
        pairs: G.
        width: H.
        layers: K.
        past: P.
        future: Q.
        dropout: dropout rate of the shares.
    """

    def __init__(self, pairs: int, width: int, layers: int, *, past: int, future: int, dropout: float) -> None:
        super().__init__()
        self.past, self.future, self.dropout = past, future, dropout
        self.weight, self.share_weight = (_uniform(width, layers, pairs, width, width) for _ in range(2))
        self.bias, self.share_bias = (_uniform(width, layers, pairs, 1, width) for _ in range(2))

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """W [K, G, H, H], b [K, G, 1, H], F and f likewise; the matrices are applied from the right."""
        return self.weight, self.bias, self.share_weight, self.share_bias

    def forward(self, nodes: Tensor, layout: Layout) -> Tensor:
        """X_0 [G, N, 2, H] -> out [G, N, 2, H]."""
        bands = Bands(tuple(band(n, self.past, self.future).to(nodes) for n in layout.lengths))
        rate = self.dropout if self.training else 0.0
        return _Layers.apply(nodes, *self.parts(), bands, rate)  # type: ignore[no-any-return, no-untyped-call]

    def hear(self, nodes: Tensor, count: int, earlier: Sequence[Tensor] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The next utterance, with Q = 0.

        Args:
            nodes: X_0 [G, 2, H] of it.
            count: how many utterances there were.
            earlier: per layer the streams of the layer before, of the last P utterances at most, [G, ., 2H].

        Returns:
            out [G, 2, H], and ``earlier`` for the next utterance.
        """
        heard = torch.arange(max(0, count - self.past), count + 1).clamp_max(self.past) + 1
        weights = (heard * heard[-1]).to(nodes).rsqrt()[:, None]
        sides, after, streams = [nodes, torch.zeros_like(nodes)], [], nodes.flatten(1)[:, None]
        for number, (weight, bias, *share) in enumerate(zip(*self.parts(), strict=True)):
            window = streams if earlier is None else torch.cat((earlier[number], streams), 1)
            after.append(window[:, -self.past :])
            rows = torch.baddbmm(bias, (weights * window).sum(1).view_as(nodes), weight)
            sides[1 - number % 2] = sides[1 - number % 2] + _share(rows, *share)
            streams = rows.flatten(1)[:, None]
        return sides[0] + sides[1].flip(1), tuple(after)


@dataclass(frozen=True, eq=False)
class Bands:
    """The adjacency of one batch.

    Attributes:
        blocks: A [n, n] of each dialogue.
    """

    blocks: tuple[Tensor, ...]

    def hear(self, rows: Tensor) -> Tensor:
        """A rows, for rows [G, N, F]."""
        return _products(self.blocks, rows)

    def hear_back(self, rows: Tensor) -> Tensor:
        """A transposed times rows [G, N, F]."""
        return _products([block.T for block in self.blocks], rows)


def band(length: int, past: int, future: int) -> Tensor:
    """A [n, n] of a dialogue of this length, float64: row i hears column j."""
    heard = torch.ones(length, length, dtype=torch.float64).triu(-past).tril(future)
    scale = heard.sum(1).rsqrt()
    return scale[:, None] * heard * scale


def _uniform(inputs: int, *shape: int) -> nn.Parameter:
    """As a linear layer of this many inputs begins."""
    bound = 1 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


def _products(blocks: Sequence[Tensor], rows: Tensor) -> Tensor:
    out, lengths = torch.empty_like(rows), [len(block) for block in blocks]
    for block, part, to in zip(blocks, rows.split(lengths, 1), out.split(lengths, 1), strict=True):
        torch.bmm(block.expand(len(rows), -1, -1), part, out=to)
    return out


def _share(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.leaky_relu_(torch.baddbmm(bias, rows, weight), SLOPE)


class _Layers(torch.autograd.Function):
    """nodes [G, N, 2, H], the four ``parts``, A and the rate of the shares' dropout -> out [G, N, 2, H]."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any,
        nodes: Tensor,
        weight: Tensor,
        bias: Tensor,
        share_weight: Tensor,
        share_bias: Tensor,
        bands: Bands,
        rate: float,
    ) -> Tensor:
        by_pair = len(nodes), -1, nodes.shape[-1]
        sides, streams, signs, scales = (nodes.clone(), torch.zeros_like(nodes)), [nodes.flatten(2)], [], []
        for layer in range(len(weight)):
            rows = torch.baddbmm(bias[layer], bands.hear(streams[-1]).view(by_pair), weight[layer])
            share = _share(rows, share_weight[layer], share_bias[layer])
            if rate:
                keep = keep_mask(share.shape, rate, share)
                share *= keep
                scales.append(keep.amax())
            sides[1 - layer % 2].add_(share.view_as(nodes))
            streams.append(rows.view_as(streams[0]))
            signs.append(share.sign_().to(torch.int8))
        ctx.bands, ctx.scales = bands, scales
        ctx.save_for_backward(weight, share_weight, *streams, *signs)
        return sides[0].add_(sides[1].flip(2))

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, share_weight, *kept = ctx.saved_tensors
        by_pair = len(grad), -1, grad.shape[-1]
        streams, signs = kept[: len(weight) + 1], kept[len(weight) + 1 :]
        sides = grad.contiguous(), grad.flip(2)
        on_weight, on_share_weight = torch.empty_like(weight), torch.empty_like(weight)
        on_bias, on_share_bias = torch.empty_like(weight[:, :, :1]), torch.empty_like(weight[:, :, :1])
        on_streams = torch.zeros_like(streams[0])
        for layer in reversed(range(len(weight))):
            on_share = _slope(signs[layer], sides[1 - layer % 2].view(by_pair))
            if ctx.scales:
                on_share *= ctx.scales[layer]
            torch.bmm(streams[layer + 1].view(by_pair).mT, on_share, out=on_share_weight[layer])
            torch.sum(on_share, 1, keepdim=True, out=on_share_bias[layer])
            on_rows = on_streams.view(by_pair).baddbmm_(on_share, share_weight[layer].mT)
            torch.bmm(ctx.bands.hear(streams[layer]).view(by_pair).mT, on_rows, out=on_weight[layer])
            torch.sum(on_rows, 1, keepdim=True, out=on_bias[layer])
            on_streams = ctx.bands.hear_back(torch.bmm(on_rows, weight[layer].mT).view_as(on_streams))
        on_nodes = on_streams.view_as(grad).add_(grad)
        return on_nodes, on_weight, on_bias, on_share_weight, on_share_bias, None, None


def _slope(signs: Tensor, grad: Tensor) -> Tensor:
    """``grad`` through LeakyReLU and a mask, from the signs of what came out: 0 where that dropped a share."""
    return torch.where(signs > 0, grad, SLOPE * grad).mul_(signs != 0)
