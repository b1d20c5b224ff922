"""The walk of a DAG-ERC layer through a batch (equations in ``dag_layer``), and its gradient by hand.

Recorded op by op it takes nearly twice the time.

    N   utterances of the batch, in the order of the walk (``steps``)   H   width   B   dialogues   T   steps
    n   dialogues of a step   p   places that it looks at   cells: 0 is GRU_n, the nodal one, 1 GRU_c, the contextual
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from dclf.models.gradient import by_hand
from dclf.models.gru import GRUSlopes, GRUTrace
from dclf.models.predecessors import Predecessors, StepPredecessors


@dataclass(frozen=True, eq=False)
class LayerInputs:
    """The differentiable inputs of the walk, in the order in which ``DAGWalk`` takes them.

    Attributes:
        below: X [N, H].
        nodal: [N, 3H], X's share of GRU_n, with its input bias.
        contextual: [N, 3H], X's share of GRU_c, with its recurrent bias.
        nodal_weight: [H, 3H], weight of M in GRU_n.
        nodal_bias: [3H].
        contextual_weight: [H, 3H], weight of M in GRU_c.
        contextual_bias: [3H].
        relations: [2H, H], V_same above V_other, transposed.
        key: w [H].
    """

    below: Tensor
    nodal: Tensor
    contextual: Tensor
    nodal_weight: Tensor
    nodal_bias: Tensor
    contextual_weight: Tensor
    contextual_bias: Tensor
    relations: Tensor
    key: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in order."""
        return tuple(getattr(self, field.name) for field in fields(self))


class DAGWalk(torch.autograd.Function):
    """(predecessors, *LayerInputs.tensors) -> H [N, H], M [N, H]."""

    @staticmethod
    def forward(ctx: Any, predecessors: Predecessors, *tensors: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        layer_inputs = LayerInputs(*tensors)
        record = _Record.empty(layer_inputs, predecessors)
        states = _walk(layer_inputs, predecessors, record)
        ctx.predecessors, ctx.record = predecessors, record
        ctx.save_for_backward(*tensors)
        # A copy: a node that holds its own output would keep itself alive.
        return states, record.message.clone()

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad_state: Tensor, grad_message: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        layer_inputs, record = LayerInputs(*ctx.saved_tensors), ctx.record
        way_back = _WayBack.of(record, grad_state, grad_message)
        _walk_back(layer_inputs, ctx.predecessors, record, way_back)
        return None, *_gradients(record, way_back).tensors


@dataclass(frozen=True, eq=False)
class _Record:
    """What the way forward leaves for the way back.

    Attributes:
        trace: of both cells, [2, N, ...]; ``before`` is M for the nodal one and X for the contextual.
        pooled: p [N, 2H], zero at the first step.
        past: H per dialogue, [B, T, H], zero beyond its end.
        attention: a of every step from the second, [n, p].
    """

    trace: GRUTrace
    pooled: Tensor
    past: Tensor
    attention: list[Tensor]

    @classmethod
    def empty(cls, layer_inputs: LayerInputs, predecessors: Predecessors) -> _Record:
        steps, (rows, width) = predecessors.steps, layer_inputs.below.shape
        trace = GRUTrace.empty(layer_inputs.below.new_empty(2, rows, 3 * width))
        trace.before[0].zero_()
        trace.before[1] = layer_inputs.below
        past = layer_inputs.below.new_zeros(steps.sizes[0], len(steps.sizes), width)
        return cls(trace, layer_inputs.below.new_zeros(rows, 2 * width), past, [])

    @property
    def message(self) -> Tensor:
        """M [N, H]."""
        return self.trace.before[0]


def _walk(layer_inputs: LayerInputs, predecessors: Predecessors, record: _Record) -> Tensor:
    """Fill the record; return H [N, H]."""
    inputs = torch.stack((layer_inputs.nodal, torch.empty_like(layer_inputs.nodal)))
    states = torch.stack((torch.empty_like(layer_inputs.contextual), layer_inputs.contextual))
    cells = inputs.new_empty(2, *layer_inputs.below.shape)
    scores = inputs.new_zeros(record.past.shape[:2])
    steps = predecessors.steps
    views = zip(record.trace.per_step(steps), *map(steps.views, (inputs, states, cells)), strict=True)
    for t, (trace, from_input, from_state, cell) in enumerate(views):
        running, message = len(cell[0]), trace.before[0]
        if t:
            pooled = record.pooled[steps.slices[t]]
            _attend(predecessors.each[t], scores[:running], record, pooled)
            torch.mm(pooled, layer_inputs.relations, out=message)
        torch.addmm(layer_inputs.nodal_bias, message, layer_inputs.nodal_weight, out=from_state[0])
        torch.addmm(layer_inputs.contextual_bias, message, layer_inputs.contextual_weight, out=from_input[1])
        trace.step(from_input, from_state, cell)
        state = torch.add(cell[0], cell[1], out=cell[0])
        record.past[:running, t] = state
        scores[:running, t] = state @ layer_inputs.key
    return cells[0]


def _attend(heard: StepPredecessors, scores: Tensor, record: _Record, pooled: Tensor) -> None:
    """Fill ``pooled`` [n, 2H] from the scores [n, T] and the past."""
    attention = scores[:, heard.places].masked_fill(heard.unheard, -torch.inf).softmax(-1)
    record.attention.append(attention)
    past = record.past[: len(scores), heard.places]
    torch.bmm(attention.unsqueeze(1) * heard.relations, past, out=pooled.unflatten(1, (2, -1)))


@dataclass(frozen=True, eq=False)
class _WayBack:
    """Gradients, filled from the last step to the first.

    Attributes:
        slopes: of both cells, which become the gradients of what they read.
        state: [N, H], of H: from outside first, then all of it.
        message: [N, H], of M, likewise.
        past: [B, T, H], of H as later utterances hear it, but for their attention.
        scores: [B, T], of w . H.
    """

    slopes: GRUSlopes
    state: Tensor
    message: Tensor
    past: Tensor
    scores: Tensor

    @classmethod
    def of(cls, record: _Record, grad_state: Tensor, grad_message: Tensor) -> _WayBack:
        past = torch.zeros_like(record.past)
        return cls(
            record.trace.slopes(), grad_state.clone(), grad_message.clone(), past, past.new_zeros(past.shape[:2])
        )


def _walk_back(layer_inputs: LayerInputs, predecessors: Predecessors, record: _Record, way_back: _WayBack) -> None:
    """Walk back in time and fill ``way_back``."""
    steps = predecessors.steps
    nodal, contextual, relations = (
        weight.T.contiguous()
        for weight in (layer_inputs.nodal_weight, layer_inputs.contextual_weight, layer_inputs.relations)
    )
    views = zip(
        predecessors.each,
        way_back.slopes.per_step(steps),
        way_back.state.split(steps.sizes),
        way_back.message.split(steps.sizes),
        strict=True,
    )
    for t, (heard, slopes, state, message) in reversed(list(enumerate(views))):
        now = slice(len(state)), t
        state.add_(way_back.past[now]).addcmul_(way_back.scores[now].unsqueeze(1), layer_inputs.key)
        slopes.inputs.mul_(state.unsqueeze(1))
        slopes.states.mul_(state.unsqueeze(1))
        message.addcmul_(state, slopes.update[0])
        message.addmm_(slopes.states[0].flatten(1), nodal).addmm_(slopes.inputs[1].flatten(1), contextual)
        if t:
            pooled = (message @ relations).unflatten(1, (2, -1))
            _attend_back(heard, record.attention[t - 1], record.past, pooled, way_back)


def _attend_back(heard: StepPredecessors, attention: Tensor, past: Tensor, grad: Tensor, way_back: _WayBack) -> None:
    """Take in the gradient [n, 2, H] of what a step pooled."""
    now = slice(len(attention)), heard.places
    on_shares = torch.bmm(grad, past[now].transpose(1, 2)).mul_(heard.relations).sum(1)
    product = on_shares * attention
    way_back.scores[now] += product.addcmul_(attention, product.sum(1, keepdim=True), value=-1)
    way_back.past[now] += torch.bmm((attention.unsqueeze(1) * heard.relations).transpose(1, 2), grad)


def _gradients(record: _Record, way_back: _WayBack) -> LayerInputs:
    """The gradients of the inputs, once all steps are through."""
    from_inputs, from_states = way_back.slopes.inputs.flatten(2), way_back.slopes.states.flatten(2)
    return LayerInputs(
        below=way_back.state * way_back.slopes.update[1],
        nodal=from_inputs[0],
        contextual=from_states[1],
        nodal_weight=record.message.T @ from_states[0],
        nodal_bias=from_states[0].sum(0),
        contextual_weight=record.message.T @ from_inputs[1],
        contextual_bias=from_inputs[1].sum(0),
        relations=record.pooled.T @ way_back.message,
        key=torch.tensordot(way_back.scores, record.past, 2),
    )
