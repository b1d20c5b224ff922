"""What the base models' gradients by hand have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def by_hand(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of an autograd function's ``backward``.

    It runs in the precision of its tensors, also when the backward pass is called under autocast, whose lower precision
    would slip into some of its products. Differentiating through it again is an error.
    """

    @wraps(backward)
    def run(ctx: Any, *grads: Tensor) -> Any:
        with torch.autocast(grads[0].device.type, enabled=False):
            return backward(ctx, *grads)

    return once_differentiable(run)
