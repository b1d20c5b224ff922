"""Our Adam is torch's, step by step, and leaves torch's compiler where it is."""

import subprocess
import sys

import pytest
import torch

from dclf.config import TrainConfig
from dclf.training.optimiser import make_optimiser

CODE = """
import sys, torch
from dclf.config import TrainConfig
from dclf.training.optimiser import make_optimiser
weight = torch.nn.Parameter(torch.ones(3))
adam = make_optimiser([weight], TrainConfig())
adam.zero_grad()
weight.sum().backward()
adam.step()
adam.load_state_dict(adam.state_dict())
print([m for m in ("torch._dynamo", "sympy") if m in sys.modules])
"""


def losses(adam: torch.optim.Adam, weight: torch.nn.Parameter) -> list[float]:
    found = []
    for step in range(6):
        if step == 3:
            adam.load_state_dict(adam.state_dict())
        adam.zero_grad()
        loss = ((weight - torch.tensor([1.0, -2.0, 0.5])) ** 2).sum()
        loss.backward()
        adam.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_it_takes_the_steps_of_torchs_adam(decay: float) -> None:
    weights = [torch.nn.Parameter(torch.zeros(3)) for _ in range(2)]
    ours = make_optimiser([weights[0]], TrainConfig(lr=0.1, weight_decay=decay))
    theirs = torch.optim.Adam([weights[1]], lr=0.1, weight_decay=decay, fused=True)
    assert losses(ours, weights[0]) == losses(theirs, weights[1])
    assert torch.equal(*weights)


def test_with_compiling_it_is_torchs_own() -> None:
    assert type(make_optimiser([torch.nn.Parameter(torch.ones(1))], TrainConfig(compile=True))) is torch.optim.Adam


def test_it_leaves_torchs_compiler_alone() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
