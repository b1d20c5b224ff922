"""The GRU's arithmetic, step by step and with gradients by hand, for K cells at once.

r = sigmoid(x_r + v_r),  z = sigmoid(x_z + v_z),  m = tanh(x_m + r v_m),  h = m + z (h' - m)

    x   [K, n, 3H] what the input says (W_ih x + b_ih)      v   [K, n, 3H] what the state before says (W_hh h' + b_hh)
    h'  [K, n, H]  the state before                         K   cells, n dialogues of the step, N rows of the batch
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from dclf.models.steps import Steps


class StackedGRU(nn.Module):
    """Parameters of K GRU cells: [K, inputs, 3H] and [K, H, 3H], columns in the order r, z, m."""

    def __init__(self, cells: int, inputs: int, width: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.input_weight = nn.Parameter(torch.empty(cells, inputs, 3 * width).uniform_(-bound, bound))
        self.input_bias = nn.Parameter(torch.empty(cells, 1, 3 * width).uniform_(-bound, bound))
        self.state_weight = nn.Parameter(torch.empty(cells, width, 3 * width).uniform_(-bound, bound))
        self.state_bias = nn.Parameter(torch.empty(cells, 1, 3 * width).uniform_(-bound, bound))


@dataclass(frozen=True, eq=False)
class GRUTrace:
    """What the way forward leaves for the way back, filled step by step.

    Attributes:
        gates: [K, N, 3H], r, z and m.
        state_m: [K, N, H], v_m.
        before: [K, N, H], h'.
    """

    gates: Tensor
    state_m: Tensor
    before: Tensor

    @classmethod
    def empty(cls, like: Tensor, width: int) -> GRUTrace:
        """Room for the rows of ``like`` [K, N, ...] and H = ``width``."""
        sizes = (3 * width, width, width)
        return cls(*(like.new_empty(*like.shape[:2], size) for size in sizes))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """The three, to be saved."""
        return self.gates, self.state_m, self.before

    def step(self, now: slice, from_input: Tensor, from_state: Tensor, out: Tensor) -> None:
        """Fill ``out`` [K, n, H] with h; ``before[:, now]`` must hold h'."""
        width = out.shape[-1]
        gates, state_m, before = (tensor[:, now] for tensor in self.tensors)
        both, update = gates[..., : 2 * width], gates[..., 2 * width :]
        torch.add(from_input[..., : 2 * width], from_state[..., : 2 * width], out=both)
        both.sigmoid_()
        state_m.copy_(from_state[..., 2 * width :])
        torch.addcmul(from_input[..., 2 * width :], gates[..., :width], state_m, out=update)
        update.tanh_()
        torch.lerp(update, before, gates[..., width : 2 * width], out=out)

    def slopes(self) -> tuple[Tensor, Tensor]:
        """What one unit of gradient on h puts on x and on v, both [K, N, 3, H]."""
        r, z, m = self.gates.chunk(3, -1)
        on_m = (1 - z) * (1 - m * m)
        on_r = on_m * self.state_m * r * (1 - r)
        on_z = (self.before - m) * z * (1 - z)
        return torch.stack((on_r, on_z, on_m), 2), torch.stack((on_r, on_z, on_m * r), 2)


class GRUWalk(torch.autograd.Function):
    """K GRU cells over a batch, dropout within the recurrence.

    inputs [K, N, 3H] = x, weight [K, H, 3H], bias [K, 1, 3H], keep [K, N, H] or None -> states [K, N, H], in the
    order of the walk. ``keep`` is the scaled dropout mask of each state: it is applied before the state goes on.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, keep: Tensor | None, steps: Steps) -> Tensor:
        trace = GRUTrace.empty(inputs, weight.shape[1])
        states = torch.empty_like(trace.before)
        before = inputs.new_zeros(inputs.shape[0], steps.sizes[0], weight.shape[1])
        for now in steps.slices:
            going_on = before[:, : now.stop - now.start]
            trace.before[:, now] = going_on
            before = states[:, now]
            trace.step(now, inputs[:, now], torch.baddbmm(bias, going_on, weight), before)
            if keep is not None:
                before.mul_(keep[:, now])
        ctx.steps = steps
        ctx.save_for_backward(*trace.tensors, weight, *([] if keep is None else [keep]))
        return states

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        gates, state_m, before, weight, *rest = ctx.saved_tensors
        trace = GRUTrace(gates, state_m, before)
        on_input, on_state = trace.slopes()
        transposed = weight.transpose(1, 2).contiguous()
        update = gates.chunk(3, -1)[1]
        from_later: Tensor | None = None
        for now in reversed(ctx.steps.slices):
            grad_now = grad[:, now].clone()
            if from_later is not None:
                grad_now[:, : from_later.shape[1]] += from_later
            if rest:
                grad_now *= rest[0][:, now]
            on_input[:, now].mul_(grad_now.unsqueeze(2))
            on_state[:, now].mul_(grad_now.unsqueeze(2))
            from_later = torch.baddbmm(grad_now * update[:, now], on_state[:, now].flatten(2), transposed)
        on_input, on_state = on_input.flatten(2), on_state.flatten(2)
        return on_input, torch.bmm(before.transpose(1, 2), on_state), on_state.sum(1, keepdim=True), None, None
