"""The layers of the graph convolution have the gradients of finite differences, with dropout of their inputs too."""

from __future__ import annotations

import pytest
import torch

from dclf.layout import Layout
from dclf.models.dialogue_graph import DialogueGraph
from dclf.models.graph_convolution import _Layers

M, WIDTH, LAYERS = 2, 3, 3
LAYOUT = Layout.of([3, 1, 2])


@pytest.mark.parametrize("drops", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_gradients_are_those_of_finite_differences(causal: bool, drops: bool) -> None:
    torch.manual_seed(6)
    nodes = torch.randn(LAYOUT.utterances, M, WIDTH, dtype=torch.float64)
    graph = DialogueGraph.of(nodes, LAYOUT, causal=causal)
    weights = torch.randn(LAYERS, WIDTH, WIDTH), torch.randn(WIDTH, LAYERS * WIDTH)
    parts = (nodes.abs(), graph.within, graph.across, *weights)
    inputs = [part.double().detach().requires_grad_() for part in parts]
    keep = torch.randint(2, (LAYERS, *nodes.shape)).double() * 2 if drops else None
    assert torch.autograd.gradcheck(_Layers.apply, (*inputs, keep, LAYOUT), fast_mode=True)
