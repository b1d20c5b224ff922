"""The summary of what was said before."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.history import pool_history


def test_each_state_attends_to_those_before_it() -> None:
    state, layout = torch.randn(7, 4, dtype=torch.float64), Layout.of([4, 1, 2])
    pooled = pool_history(state, layout)
    assert not pooled[[0, 4, 5]].any()
    weights = (state[3] @ state[:3].T / 2).softmax(-1)
    assert_close(pooled[3], weights @ state[:3])
    assert_close(pooled[6], state[5])


def test_mixed_precision_leaves_it_exact() -> None:
    state, layout = 3 * torch.randn(20, 64), Layout.of([20])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = pool_history(state, layout)
    assert mixed.dtype == torch.float32
    assert_close(mixed, pool_history(state, layout), rtol=0, atol=0)
