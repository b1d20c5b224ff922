"""The deep graph convolution of Chen et al. (2020) over a dialogue graph.

h_0 = relu(W x + b);  for l = 1 .. n, with A the adjacency,

    g_l = A h_{l-1}
    h_l = relu(theta_l [g_l, h_0] W_l + (1 - theta_l) ((1 - alpha) g_l + alpha h_0)),    theta_l = ln(lambda / l + 1)

Both terms are linear in [g_l, h_0]: each layer is one product with the blended weight
theta_l W_l + (1 - theta_l) [(1 - alpha) I; alpha I], and the products with h_0 are one for all layers.

    N   utterances of the batch   M   modalities   E   node width   F   hidden width   n   layers
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.layout import Layout
from dclf.models.dialogue_graph import DialogueGraph
from dclf.models.dropout import dropout, keep_mask
from dclf.models.gradient import by_hand


class GraphConvolution(nn.Module):
    """n layers on the nodes of a dialogue graph.

    Args:
        node_width: E.
        hidden: F.
        layers: n.
        alpha: share of h_0 in every layer.
        lambda_: how fast the share theta_l of the learned map decays.
        dropout: dropout rate of the input of every layer.
    """

    def __init__(
        self, node_width: int, hidden: int, *, layers: int, alpha: float, lambda_: float, dropout: float
    ) -> None:
        super().__init__()
        self.alpha, self.lambda_, self.dropout = alpha, lambda_, dropout
        self.entry = nn.Linear(node_width, hidden)
        self.weights = layer_weights(hidden, layers)

    def forward(self, nodes: Tensor, graph: DialogueGraph) -> Tensor:
        """nodes [N, M, E] -> [N, M, F]."""
        first = functional.relu(self.entry(dropout(nodes, self.dropout, self.training)))
        reached, initial = blended(self.weights, self.alpha, self.lambda_)
        keep = None
        if self.training and self.dropout:
            keep = keep_mask((len(self.weights), *first.shape), self.dropout, first)
        weights = reached, initial.transpose(0, 1).flatten(1)
        return _Layers.apply(first, graph.within, graph.across, *weights, keep, graph.layout)  # type: ignore[no-any-return, no-untyped-call]


def layer_weights(hidden: int, layers: int) -> nn.ParameterList:
    """W_l [2F, F] of ``layers`` layers."""
    bound = 1 / math.sqrt(hidden)
    return nn.ParameterList(
        nn.Parameter(torch.empty(2 * hidden, hidden).uniform_(-bound, bound)) for _ in range(layers)
    )


def blended(weights: nn.ParameterList, alpha: float, lambda_: float) -> tuple[Tensor, Tensor]:
    """Per layer theta W + (1 - theta) [(1 - alpha) I; alpha I]: its halves for g_l and for h_0, each [n, F, F]."""
    eye = torch.eye(weights[0].shape[1]).to(weights[0])
    residual = torch.cat(((1 - alpha) * eye, alpha * eye))
    thetas = [math.log(lambda_ / layer + 1) for layer in range(1, len(weights) + 1)]
    layers = [theta * weight + (1 - theta) * residual for theta, weight in zip(thetas, weights, strict=True)]
    reached, initial = torch.stack(layers).chunk(2, 1)
    return reached, initial


class _Layers(torch.autograd.Function):
    """All layers with their gradient by hand, so that what belongs to the graph is added up in place.

    first [N, M, F] = h_0, the graph's within and across, reached [n, F, F] the weights of g_l, initial [F, nF] those of
    h_0 side by side, keep [n, N, M, F] or None the scaled dropout masks of the layers' inputs -> h_n [N, M, F].
    """

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any,
        first: Tensor,
        within: Tensor,
        across: Tensor,
        reached: Tensor,
        initial: Tensor,
        keep: Tensor | None,
        layout: Layout,
    ) -> Tensor:
        graph = DialogueGraph(within, across, layout)
        shares = (first.flatten(0, 1) @ initial).split(first.shape[2], 1)
        inputs, heard, hidden = [], [], first
        for layer, share in enumerate(shares):
            inputs.append(hidden if keep is None else hidden * keep[layer])
            heard.append(graph.propagate(inputs[-1]))
            hidden = torch.addmm(share, heard[-1].flatten(0, 1), reached[layer]).relu_().view_as(first)
        ctx.layout, ctx.keep = layout, keep
        ctx.save_for_backward(first, within, across, reached, initial, hidden, *inputs, *heard)
        return hidden

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        first, within, across, reached, initial, last, *rest = ctx.saved_tensors
        inputs, heard = rest[: len(reached)], rest[len(reached) :]
        graph = DialogueGraph(within, across, ctx.layout)
        grads = DialogueGraph(torch.zeros_like(within), torch.zeros_like(across), ctx.layout)
        on_reached = torch.empty_like(reached)
        on_sums: list[Tensor] = []
        # A masked input is positive where its layer's output was, but for what dropout zeroes anyway.
        for layer, output in reversed(list(enumerate([*inputs[1:], last]))):
            on_sums.insert(0, torch.ops.aten.threshold_backward(grad, output, 0).flatten(0, 1))
            torch.mm(heard[layer].flatten(0, 1).T, on_sums[0], out=on_reached[layer])
            on_heard = (on_sums[0] @ reached[layer].T).view_as(first)
            grad = graph.propagate_back(on_heard, inputs[layer], grads)
            if ctx.keep is not None:
                grad *= ctx.keep[layer]
        on_shares = torch.cat(on_sums, 1)
        grad.flatten(0, 1).addmm_(on_shares, initial.T)
        on_initial = first.flatten(0, 1).T @ on_shares
        return grad, grads.within, grads.across, on_reached, on_initial, None, None
