"""Dropout: what it keeps it scales, and its gradient goes where the values went."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from dclf.models.dropout import Dropout, dropout, keep_mask


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_each_element_is_dropped_at_the_rate_or_scaled_up_and_so_is_its_gradient(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.ones(100, 99, dtype=dtype).T.requires_grad_()
    dropped = dropout(values, 0.4, True)
    (gradient,) = torch.autograd.grad(dropped.sum(), values)
    assert torch.equal(gradient, dropped)
    rest = dropped[dropped != 0]
    assert_close(rest, torch.full_like(rest, 1 / 0.6), rtol=1e-2 if dtype == torch.bfloat16 else 1e-4, atol=0)
    assert abs(len(rest) / values.numel() - 0.6) < 0.02


def test_evaluation_and_rate_zero_leave_the_values_alone() -> None:
    values = torch.randn(3, 2)
    assert dropout(values, 0.4, False) is values
    assert dropout(values, 0.0, True) is values


def test_rate_one_drops_everything_with_its_gradient() -> None:
    values = torch.ones(1 << 18).requires_grad_()
    dropped = Dropout(1.0)(values)
    (gradient,) = torch.autograd.grad(dropped.sum(), values)
    assert not dropped.any()
    assert not gradient.any()
    assert not keep_mask(values.shape, 1.0, values).any()
