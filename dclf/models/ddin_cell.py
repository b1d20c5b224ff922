"""DDIN's recurrent core: history, attention over it, party states. One walk forwards, one backwards in time.

Per step and modality m, for the dialogues still running:

    g_m   = GRU([U_m, party state of the speaker], g_m before)                    [D_g]
    H_m   = the earlier g_m plus their positions
    a_hm  = softmax over time of (transform_hm U_m) . H_h,  pooled_hm = a_hm H_h   one per pair (history h, query m)
    w     = softmax over h of score_m . pooled_hm
    c_m   = fuse_m concat_h (1 + w_h) pooled_hm, zero at the first utterance      [D_g]
    party = GRU([U_m, c_m], party state of the speaker)                           [D_p]

    M  modalities   N  rows in the order of the walk (``steps``)   B  dialogues   T  steps   n  dialogues of a step

What does not depend on the recurrence (U's share of both GRUs, the queries) comes in, computed for all rows at once.
The rest is written with its gradient by hand: recorded op by op it would cost several times the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from dclf.models.ddin_past import Past, PastGradients, weighted
from dclf.models.gradient import by_hand
from dclf.models.gru import GRUTrace, joined, masks
from dclf.models.steps import Steps

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class CellInputs:
    """The differentiable inputs of the core, in the order in which ``DDINWalk`` takes them.

    Attributes:
        history: [M, N, 3 D_g], U's share of the history GRU, with its input bias.
        party: [M, N, 3 D_p], U's share of the party GRU, with its input bias.
        queries: [N, M, M, D_g], transform_hm U_m at [:, h, m].
        history_party: [M, D_p, 3 D_g], weight of the party state in the history GRU.
        history_state: [M, D_g, 3 D_g], its recurrent weight.
        history_bias: [M, 1, 3 D_g], its recurrent bias.
        party_context: [M, D_g, 3 D_p], weight of c_m in the party GRU.
        party_state: [M, D_p, 3 D_p], its recurrent weight.
        party_bias: [M, 1, 3 D_p], its recurrent bias.
        score: [M, D_g].
        fuse: [M, M D_g, D_g], rows in the order of the histories h.
        fuse_bias: [M, 1, D_g].
    """

    history: Tensor
    party: Tensor
    queries: Tensor
    history_party: Tensor
    history_state: Tensor
    history_bias: Tensor
    party_context: Tensor
    party_state: Tensor
    party_bias: Tensor
    score: Tensor
    fuse: Tensor
    fuse_bias: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in order."""
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, eq=False)
class CellPlan:
    """What the core needs to know of the batch.

    Attributes:
        steps: the walk.
        earlier: int64 [N], the place of the speaker's previous turn in the dialogue; N where there is none.
        later: int64 [N], the place of the speaker's next turn; N where there is none.
        positions: [T, D_g], the positional table.
        keep_history: [M, N, D_g], scaled dropout mask of g, or None.
        keep_party: [M, N, D_p], scaled dropout mask of the party states, or None.
    """

    steps: Steps
    earlier: Tensor
    later: Tensor
    positions: Tensor
    keep_history: Tensor | None = None
    keep_party: Tensor | None = None


def turns(keys: Tensor) -> tuple[Tensor, Tensor]:
    """``CellPlan.earlier`` and ``later``; keys [N] are equal for the rows of one speaker in one dialogue."""
    total = len(keys)
    order = keys.argsort(stable=True)
    same = keys[order[1:]] == keys[order[:-1]]
    earlier, later = (torch.full_like(keys, total) for _ in range(2))
    earlier[order[1:][same]] = order[:-1][same]
    later[order[:-1][same]] = order[1:][same]
    return earlier, later


class DDINWalk(torch.autograd.Function):
    """(plan, *CellInputs.tensors) -> party states [M, N, D_p] of each turn's speaker, context c [M, N, D_g]."""

    @staticmethod
    def forward(ctx: Any, plan: CellPlan, *tensors: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        cell_inputs = CellInputs(*tensors)
        record = _Record.empty(cell_inputs, plan)
        _walk(cell_inputs, plan, record)
        ctx.plan, ctx.record = plan, record
        ctx.save_for_backward(*tensors)
        # Copies: a node that holds its own output would keep itself alive.
        return record.parties[:, :-1].clone(), record.context.clone()

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad_party: Tensor, grad_context: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        cell_inputs = CellInputs(*ctx.saved_tensors)
        return None, *_Return(cell_inputs, ctx.plan, ctx.record).walk(grad_party, grad_context).tensors


@dataclass(frozen=True, eq=False)
class _Record:
    """What the way forward leaves for the way back.

    Attributes:
        history: trace of the history GRU.
        party: trace of the party GRU.
        past: the attention's.
        parties: [M, N + 1, D_p], party states; the last is the zero state before a speaker's first turn.
        context: [M, N, D_g], c.
    """

    history: GRUTrace
    party: GRUTrace
    past: Past
    parties: Tensor
    context: Tensor

    @classmethod
    def empty(cls, cell_inputs: CellInputs, plan: CellPlan) -> _Record:
        history, party = GRUTrace.empty(cell_inputs.history), GRUTrace.empty(cell_inputs.party)
        modalities, rows, width = party.before.shape
        past = Past.empty(cell_inputs.queries, cell_inputs.score, plan.positions, plan.steps)
        parties = cell_inputs.party.new_zeros(modalities, rows + 1, width)
        return cls(history, party, past, parties, torch.zeros_like(history.before))


def _walk(cell_inputs: CellInputs, plan: CellPlan, record: _Record) -> None:
    """The way forward: fill the record."""
    steps, past = plan.steps, record.past
    state = torch.zeros_like(record.context[:, : steps.sizes[0]])
    traces = zip(record.history.per_step(steps), record.party.per_step(steps), strict=True)
    inputs = map(steps.views, (cell_inputs.history, cell_inputs.party, record.context, record.parties[:, :-1]))
    keeps = (masks(keep, steps) for keep in (plan.keep_history, plan.keep_party))
    views = zip(traces, plan.earlier.split(steps.sizes), *inputs, *keeps, strict=True)
    for t, ((history, party), earlier, u_history, u_party, context, out, keep_g, keep_p) in enumerate(views):
        speaker = record.parties.index_select(1, earlier)
        party.before.copy_(speaker)
        history.before.copy_(state[:, : len(earlier)])
        if t:
            context.copy_(torch.baddbmm(cell_inputs.fuse_bias, past.attend(t), cell_inputs.fuse))
        from_state = torch.baddbmm(cell_inputs.history_bias, history.before, cell_inputs.history_state)
        state = context.new_empty(context.shape)
        history.step(torch.baddbmm(u_history, speaker, cell_inputs.history_party), from_state, state)
        past.append(t, state if keep_g is None else state.mul_(keep_g))
        from_state = torch.baddbmm(cell_inputs.party_bias, speaker, cell_inputs.party_state)
        party.step(torch.baddbmm(u_party, context, cell_inputs.party_context), from_state, out)
        if keep_p is not None:
            out.mul_(keep_p)


class _Return:
    """The way back in time; collects the gradients of ``CellInputs``."""

    def __init__(self, cell_inputs: CellInputs, plan: CellPlan, record: _Record) -> None:
        self.cell_inputs, self.plan, self.record = cell_inputs, plan, record
        self.history, self.party = record.history.slopes(), record.party.slopes()
        self.past = PastGradients.zero(record.past)

    def walk(self, grad_party: Tensor, grad_context: Tensor) -> CellInputs:
        """Gradients of the inputs from those of the outputs."""
        cell_inputs, steps = self.cell_inputs, self.plan.steps
        back = {name: getattr(cell_inputs, name).transpose(1, 2).contiguous() for name in _TRANSPOSED}
        to_speaker = grad_party.new_zeros(self.record.parties.shape)
        grad_context = grad_context.clone()
        from_later = grad_context[:, :0]
        slopes = zip(self.history.per_step(steps), self.party.per_step(steps), strict=True)
        grads = map(steps.views, (grad_party, grad_context, to_speaker[:, :-1]))
        keeps = (masks(keep, steps) for keep in (self.plan.keep_history, self.plan.keep_party))
        views = zip(slopes, self.plan.later.split(steps.sizes), *grads, *keeps, strict=True)
        for t, ((history, party), later, on_out, on_context, on_speaker, keep_g, keep_p) in _backwards(views):
            speaker = party.step(joined(to_speaker.index_select(1, later), on_out, keep_p), back["party_state"])
            if t:
                on_context.add_(torch.bmm(party.inputs.flatten(2), back["party_context"]))
                self.past.step(t, torch.bmm(on_context, back["fuse"]))
            from_later = history.step(joined(self.past.of_state(t), from_later, keep_g), back["history_state"])
            on_speaker.copy_(speaker.baddbmm_(history.inputs.flatten(2), back["history_party"]))
        grad_context[:, : steps.sizes[0]] = 0
        return self._gradients(grad_context)

    def _gradients(self, grad_context: Tensor) -> CellInputs:
        record, past = self.record, self.record.past
        on_history, on_party = self.history.inputs.flatten(2), self.party.inputs.flatten(2)
        on_history_state, on_party_state = self.history.states.flatten(2), self.party.states.flatten(2)
        speaker = record.party.before.transpose(1, 2)
        return CellInputs(
            history=on_history,
            party=on_party,
            queries=self.past.queries,
            history_party=torch.bmm(speaker, on_history),
            history_state=torch.bmm(record.history.before.transpose(1, 2), on_history_state),
            history_bias=on_history_state.sum(1, keepdim=True),
            party_context=torch.bmm(record.context.transpose(1, 2), on_party),
            party_state=torch.bmm(speaker, on_party_state),
            party_bias=on_party_state.sum(1, keepdim=True),
            score=self.past.of_score(),
            fuse=torch.bmm(weighted(past.pooled, past.weights).transpose(1, 2), grad_context),
            fuse_bias=grad_context.sum(1, keepdim=True),
        )


_TRANSPOSED = ("history_party", "history_state", "party_context", "party_state", "fuse")


def _backwards(views: Iterable[_T]) -> Iterator[tuple[int, _T]]:
    return reversed(list(enumerate(views)))
