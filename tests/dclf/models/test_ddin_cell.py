"""DDIN's recurrent core has the gradients of finite differences, with dropout of both states too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dclf.layout import Layout
from dclf.models.ddin_cell import CellInputs, CellPlan, DDINWalk, turns
from dclf.models.parties import party_keys
from dclf.models.positions import positional_table
from dclf.models.steps import Steps

M, HISTORY, PARTY = 2, 4, 3
LAYOUT = Layout.of([3, 1, 5])
SPEAKERS = torch.tensor([0, 1, 0, 1, 0, 0, 1, 2, 0])


def random_inputs() -> CellInputs:
    shapes = {
        "history": (LAYOUT.utterances, 3 * HISTORY),
        "party": (LAYOUT.utterances, 3 * PARTY),
        "history_party": (PARTY, 3 * HISTORY),
        "history_state": (HISTORY, 3 * HISTORY),
        "history_bias": (1, 3 * HISTORY),
        "party_context": (HISTORY, 3 * PARTY),
        "party_state": (PARTY, 3 * PARTY),
        "party_bias": (1, 3 * PARTY),
        "score": (HISTORY,),
        "fuse": (M * HISTORY, HISTORY),
        "fuse_bias": (1, HISTORY),
    }
    inputs = {name: torch.randn(M, *shape, dtype=torch.float64).requires_grad_() for name, shape in shapes.items()}
    queries = torch.randn(LAYOUT.utterances, M, M, HISTORY, dtype=torch.float64).requires_grad_()
    return CellInputs(queries=queries, **inputs)


def mask(width: int) -> Tensor:
    return torch.randint(2, (M, LAYOUT.utterances, width)).double() * 2


@pytest.mark.parametrize("drops", [True, False])
def test_gradients_are_those_of_finite_differences(drops: bool) -> None:
    torch.manual_seed(4)
    steps = Steps.of(LAYOUT)
    earlier, later = turns(party_keys(LAYOUT, SPEAKERS)[steps.rows])
    positions = positional_table(LAYOUT.longest, HISTORY).double()
    keeps = (mask(HISTORY), mask(PARTY)) if drops else (None, None)
    plan = CellPlan(steps, earlier, later, positions, *keeps)
    assert torch.autograd.gradcheck(DDINWalk.apply, (plan, *random_inputs().tensors), fast_mode=True)
