"""The GRU's arithmetic, step by step and with gradients by hand, for K cells at once.

r = sigmoid(x_r + v_r),  z = sigmoid(x_z + v_z),  m = tanh(x_m + r v_m),  h = m + z (h' - m)

    x   [K, n, 3H] what the input says (W_ih x + b_ih)      v   [K, n, 3H] what the state before says (W_hh h' + b_hh)
    h'  [K, n, H]  the state before                         K   cells, n dialogues of the step, N rows of the batch
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dclf.models.gradient import by_hand
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

    def walk(self, rows: Tensor, steps: Steps, keep: Tensor | None = None) -> Tensor:
        """Rows [K, N, inputs] in the order of the walk -> states [K, N, H]; ``keep`` as in ``GRUWalk``."""
        inputs = torch.baddbmm(self.input_bias, rows, self.input_weight)
        gru = self.state_weight, self.state_bias
        return GRUWalk.apply(inputs, *gru, keep, steps)  # type: ignore[no-any-return, no-untyped-call]

    @torch.no_grad()
    def step(self, rows: Tensor, before: Tensor | None) -> Tensor:
        """One step of the walk: rows [K, n, inputs] and h' [K, n, H], zero where None -> h [K, n, H]. No gradient."""
        inputs = torch.baddbmm(self.input_bias, rows, self.input_weight)
        trace, state = GRUTrace.empty(inputs), inputs.new_empty(*inputs.shape[:2], self.state_weight.shape[1])
        trace.before.zero_() if before is None else trace.before.copy_(before)
        trace.step(inputs, torch.baddbmm(self.state_bias, trace.before, self.state_weight), state)
        return state


@dataclass(frozen=True, eq=False)
class GRUTrace:
    """What the way forward leaves for the way back: of a whole walk [K, N, ...] or of one step [K, n, ...].

    Attributes:
        gates: [K, N, 3H], r, z and m.
        state_m: [K, N, H], v_m.
        before: [K, N, H], h'.
    """

    gates: Tensor
    state_m: Tensor
    before: Tensor

    @classmethod
    def empty(cls, inputs: Tensor) -> GRUTrace:
        """Room for a walk over ``inputs`` = x [K, N, 3H]."""
        state = inputs.new_empty(2, *inputs.shape[:2], inputs.shape[2] // 3)
        return cls(torch.empty_like(inputs), *state)

    def per_step(self, steps: Steps) -> Iterator[GRUTrace]:
        """Views of each step."""
        return map(GRUTrace, *(steps.views(part) for part in (self.gates, self.state_m, self.before)))

    def step(self, from_input: Tensor, from_state: Tensor, out: Tensor) -> None:
        """Fill ``out`` [K, n, H] with h from x, v and ``before``, and the rest of the trace."""
        width = out.shape[-1]
        both, m = self.gates[..., : 2 * width], self.gates[..., 2 * width :]
        torch.add(from_input[..., : 2 * width], from_state[..., : 2 * width], out=both)
        both.sigmoid_()
        self.state_m.copy_(from_state[..., 2 * width :])
        torch.addcmul(from_input[..., 2 * width :], both[..., :width], self.state_m, out=m)
        m.tanh_()
        torch.lerp(m, self.before, both[..., width:], out=out)

    def slopes(self) -> GRUSlopes:
        """Return the slopes of this walk, with which the way back begins."""
        r, z, m = self.gates.chunk(3, -1)
        on_m = (1 - z) * (1 - m * m)
        on_r = on_m * self.state_m * (r - r * r)
        on_z = (self.before - m) * (z - z * z)
        return GRUSlopes(torch.stack((on_r, on_z, on_m), 2), torch.stack((on_r, on_z, on_m * r), 2), z)


@dataclass(frozen=True, eq=False)
class GRUSlopes:
    """What one unit of gradient on h puts on x and on v; the way back turns them into the gradients of x and v.

    Attributes:
        inputs: [K, N, 3, H].
        states: [K, N, 3, H].
        update: [K, N, H], z: what it puts on h' directly.
    """

    inputs: Tensor
    states: Tensor
    update: Tensor

    def per_step(self, steps: Steps) -> Iterator[GRUSlopes]:
        """Views of each step."""
        return map(GRUSlopes, *(steps.views(part) for part in (self.inputs, self.states, self.update)))

    def step(self, grad: Tensor, transposed: Tensor) -> Tensor:
        """Take in the gradient of h [K, n, H]; return that of h', with W_hh transposed [K, 3H, H]."""
        self.inputs.mul_(grad.unsqueeze(2))
        self.states.mul_(grad.unsqueeze(2))
        return (grad * self.update).baddbmm_(self.states.flatten(2), transposed)


class GRUWalk(torch.autograd.Function):
    """K GRU cells over a batch, dropout within the recurrence.

    inputs [K, N, 3H] = x, weight [K, H, 3H], bias [K, 1, 3H], keep [K, N, H] or None -> states [K, N, H], in the
    order of the walk. ``keep`` is the scaled dropout mask of each state: it is applied before the state goes on.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, keep: Tensor | None, steps: Steps
    ) -> Tensor:
        trace = GRUTrace.empty(inputs)
        states = torch.empty_like(trace.before)
        before = states.new_zeros(len(inputs), steps.sizes[0], weight.shape[1])
        views = zip(trace.per_step(steps), steps.views(inputs), steps.views(states), masks(keep, steps), strict=True)
        for now, from_input, state, mask in views:
            now.before.copy_(before[:, : state.shape[1]])
            now.step(from_input, torch.baddbmm(bias, now.before, weight), state)
            before = state if mask is None else state.mul_(mask)
        ctx.steps, ctx.keep = steps, keep
        ctx.save_for_backward(trace.gates, trace.state_m, trace.before, weight)
        return states

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:  # noqa: D102
        *trace, weight = ctx.saved_tensors
        slopes = GRUTrace(*trace).slopes()
        transposed = weight.transpose(1, 2).contiguous()
        from_later = grad.new_zeros(len(grad), 0, grad.shape[2])
        views = zip(slopes.per_step(ctx.steps), ctx.steps.views(grad), masks(ctx.keep, ctx.steps), strict=True)
        for now, from_outside, mask in reversed(list(views)):
            from_later = now.step(joined(from_outside, from_later, mask), transposed)
        on_input, on_state = slopes.inputs.flatten(2), slopes.states.flatten(2)
        return on_input, torch.bmm(trace[2].transpose(1, 2), on_state), on_state.sum(1, keepdim=True), None, None


def masks(keep: Tensor | None, steps: Steps) -> Sequence[Tensor | None]:
    """Views of a dropout mask [K, N, H] at each step; None at each where there is none."""
    return [None] * len(steps.sizes) if keep is None else steps.views(keep)


def joined(from_outside: Tensor, from_later: Tensor, mask: Tensor | None) -> Tensor:
    """The gradient of a step's states: from outside [K, n, H] plus, for the first ones, from the step after."""
    grad = from_outside.clone(memory_format=torch.contiguous_format)
    grad[:, : from_later.shape[1]] += from_later
    return grad if mask is None else grad.mul_(mask)
