"""The walk of GRU cells has the gradients of finite differences, with dropout within the recurrence too."""

from __future__ import annotations

import pytest
import torch

from dclf.layout import Layout
from dclf.models.gru import GRUWalk
from dclf.models.steps import Steps

CELLS, WIDTH = 2, 3
LAYOUT = Layout.of([2, 1, 4])


@pytest.mark.parametrize("drops", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
def test_gradients_are_those_of_finite_differences(backwards: bool, drops: bool) -> None:
    torch.manual_seed(3)
    shapes = (CELLS, LAYOUT.utterances, 3 * WIDTH), (CELLS, WIDTH, 3 * WIDTH), (CELLS, 1, 3 * WIDTH)
    inputs = [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes]
    keep = torch.randint(2, (CELLS, LAYOUT.utterances, WIDTH)).double() * 2 if drops else None
    steps = Steps.of(LAYOUT, backwards=backwards)
    assert torch.autograd.gradcheck(GRUWalk.apply, (*inputs, keep, steps), fast_mode=True)
