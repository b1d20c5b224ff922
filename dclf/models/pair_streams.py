"""The graph of two modalities, in which every layer of an utterance hears the other one (GraphSmile).

The members are the utterances in modality a and those in b. Utterance i of one hears j of the other,
i - P <= j <= i + Q, i itself included; c_i is the number of those that i hears. K layers from the nodes X_0:

    A_ij      = 1 / sqrt(c_i c_j), 0 where i does not hear j
    X_k       = (A x^b W_k + b_k, A x^a W_k + b_k)                                  (x^a, x^b) = X_{k-1}
    out       = X_0 + sum_k dropout(leaky_0.01(X_k F_k + f_k))

An odd X_k holds what the other modality says, an even one the own. So each modality's features walk alone: the
*streams* y_k = A y_{k-1} W_k + b_k never change sides, and the shares of odd layers are added to the other side at the
end. Gradients are by hand: kept are the streams and a sign per share, not what lies between them.

    N   utterances of the batch   n   of one dialogue   H   width   K   layers   P, Q   past, future
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


class PairStreams(nn.Module):
    """The layers of one pair.

    Args:
        width: H.
        layers: K.
        past: P.
        dropout: dropout rate of the shares.
    """

    def __init__(self, width: int, layers: int, *, past: int, dropout: float) -> None:
        super().__init__()
        self.past, self.dropout = past, dropout
        self.weight, self.share_weight = (_uniform(width, layers, width, width) for _ in range(2))
        self.bias, self.share_bias = (_uniform(width, layers, 1, width) for _ in range(2))

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """W [K, H, H], b [K, 1, H], F and f likewise; the matrices are applied from the right."""
        return self.weight, self.bias, self.share_weight, self.share_bias

    def forward(self, nodes: Tensor, adjacency: Adjacency) -> Tensor:
        """X_0 [N, 2, H] -> out [N, 2, H]."""
        rate = self.dropout if self.training else 0.0
        return _Layers.apply(nodes, *self.parts(), adjacency, rate)  # type: ignore[no-any-return, no-untyped-call]

    def hear(self, nodes: Tensor, count: int, earlier: Sequence[Tensor] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The next utterance, with Q = 0.

        Args:
            nodes: X_0 [2, H] of it.
            count: how many utterances there were.
            earlier: per layer the streams of the layer before, of the last P utterances at most, [., 2, H].

        Returns:
            out [2, H], and ``earlier`` for the next utterance.
        """
        heard = torch.arange(max(0, count - self.past), count + 1).clamp_max(self.past) + 1
        weights = (heard * heard[-1]).to(nodes).rsqrt()[:, None, None]
        sides, after, stream = [nodes, torch.zeros_like(nodes)], [], nodes
        for number, (weight, bias, *share) in enumerate(zip(*self.parts(), strict=True)):
            window = stream[None] if earlier is None else torch.cat((earlier[number], stream[None]))
            after.append(window[-self.past :])
            stream = torch.addmm(bias, (weights * window).sum(0), weight)
            sides[1 - number % 2] = sides[1 - number % 2] + _share(stream, *share)
        return sides[0] + sides[1].flip(0), tuple(after)


@dataclass(frozen=True, eq=False)
class Adjacency:
    """A of one batch.

    Attributes:
        blocks: A [n, n] of each dialogue.
    """

    blocks: tuple[Tensor, ...]

    @classmethod
    def of(cls, layout: Layout, past: int, future: int, like: Tensor) -> Adjacency:
        """The windows [i - past, i + future], with the dtype and device of ``like``."""
        return cls(tuple(normalised_band(n, past, future).to(like) for n in layout.lengths))

    def hear(self, rows: Tensor) -> Tensor:
        """A rows, for rows [N, ...]."""
        return _products(self.blocks, rows)

    def hear_back(self, rows: Tensor) -> Tensor:
        """A transposed times rows [N, ...]."""
        return _products([block.T for block in self.blocks], rows)


def normalised_band(length: int, past: int, future: int) -> Tensor:
    """A [n, n] of a dialogue of this length, float64: row i hears column j."""
    heard = torch.ones(length, length, dtype=torch.float64).triu(-past).tril(future)
    scale = heard.sum(1).rsqrt()
    return scale[:, None] * heard * scale


def _products(blocks: Sequence[Tensor], rows: Tensor) -> Tensor:
    """Block times rows, dialogue after dialogue."""
    out, lengths = torch.empty_like(rows), [len(block) for block in blocks]
    parts = zip(blocks, rows.flatten(1).split(lengths), out.view(len(rows), -1).split(lengths), strict=True)
    for block, part, to in parts:
        torch.mm(block, part, out=to)
    return out


def _share(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.leaky_relu_(torch.addmm(bias, rows, weight), SLOPE)


def _uniform(inputs: int, *shape: int) -> nn.Parameter:
    """As a linear layer of this many inputs begins."""
    bound = 1 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class _Layers(torch.autograd.Function):
    """nodes [N, 2, H], the four ``parts``, A and the rate of the shares' dropout -> out [N, 2, H]."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any,
        nodes: Tensor,
        weight: Tensor,
        bias: Tensor,
        share_weight: Tensor,
        share_bias: Tensor,
        adjacency: Adjacency,
        rate: float,
    ) -> Tensor:
        streams, signs, scales = [nodes.flatten(0, 1)], [], []
        sides = nodes.flatten(0, 1).clone(), torch.zeros_like(streams[0])
        for layer in range(len(weight)):
            heard = adjacency.hear(streams[-1].view_as(nodes)).flatten(0, 1)
            streams.append(torch.addmm(bias[layer], heard, weight[layer]))
            share = _share(streams[-1], share_weight[layer], share_bias[layer])
            if rate:
                keep = keep_mask(share.shape, rate, share)
                scales.append(keep.amax())
                share *= keep
            sides[1 - layer % 2].add_(share)
            signs.append(share.sign_().to(torch.int8))
        ctx.adjacency, ctx.scales = adjacency, scales
        ctx.save_for_backward(weight, share_weight, *streams, *signs)
        return sides[0].view_as(nodes).add_(sides[1].view_as(nodes).flip(1))

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, share_weight, *tensors = ctx.saved_tensors
        streams, signs = tensors[: len(weight) + 1], tensors[len(weight) + 1 :]
        sides = grad.flatten(0, 1), grad.flip(1).flatten(0, 1)
        on_weight, on_share_weight = torch.empty_like(weight), torch.empty_like(weight)
        on_bias, on_share_bias = torch.empty_like(weight[:, :1]), torch.empty_like(weight[:, :1])
        on_stream = torch.zeros_like(streams[0])
        for layer in reversed(range(len(weight))):
            on_share = _slope(signs[layer], sides[1 - layer % 2])
            if ctx.scales:
                on_share *= ctx.scales[layer]
            torch.mm(streams[layer + 1].T, on_share, out=on_share_weight[layer])
            torch.sum(on_share, 0, keepdim=True, out=on_share_bias[layer])
            on_stream.addmm_(on_share, share_weight[layer].T)
            torch.mm(ctx.adjacency.hear(streams[layer].view_as(grad)).flatten(0, 1).T, on_stream, out=on_weight[layer])
            torch.sum(on_stream, 0, keepdim=True, out=on_bias[layer])
            on_stream = ctx.adjacency.hear_back((on_stream @ weight[layer].T).view_as(grad)).flatten(0, 1)
        return on_stream.view_as(grad) + grad, on_weight, on_bias, on_share_weight, on_share_bias, None, None


def _slope(signs: Tensor, grad: Tensor) -> Tensor:
    """``grad`` through LeakyReLU and a mask, from the signs of what came out: 0 where that dropped a share."""
    return torch.where(signs > 0, grad, SLOPE * grad).mul_(signs != 0)
