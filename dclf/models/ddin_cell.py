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

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dclf.models.gru import GRUTrace
from dclf.models.steps import Steps


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
    def forward(ctx: Any, plan: CellPlan, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        given = CellInputs(*tensors)
        past = _Past.empty(given, plan)
        history_trace = GRUTrace.empty(given.history, given.history_state.shape[1])
        party_trace = GRUTrace.empty(given.party, given.party_state.shape[1])
        party = given.party.new_zeros(*given.party.shape[:1], given.party.shape[1] + 1, given.party_state.shape[1])
        context = torch.zeros_like(history_trace.before)
        state = given.history.new_zeros(len(given.history), plan.steps.sizes[0], context.shape[-1])
        for t, now in enumerate(plan.steps.slices):
            speaker, state = party.index_select(1, plan.earlier[now]), state[:, : now.stop - now.start]
            party_trace.before[:, now], history_trace.before[:, now] = speaker, state
            if t:
                torch.baddbmm(
                    given.fuse_bias, past.attend(t, now, given), given.fuse, out=(c := torch.empty_like(state))
                )
                context[:, now] = c
            state = _history_step(given, plan, history_trace, now, speaker, state)
            past.append(t, state)
            _party_step(given, plan, party_trace, now, speaker, context[:, now], party[:, now])
        ctx.plan, ctx.past, ctx.traces = plan, past, (history_trace, party_trace)
        ctx.save_for_backward(*tensors, context)
        return party[:, :-1], context

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad_party: Tensor, grad_context: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, context = ctx.saved_tensors
        return (
            None,
            *_Return(CellInputs(*tensors), ctx.plan, ctx.past, *ctx.traces, context).walk(grad_party, grad_context),
        )


def _history_step(
    given: CellInputs, plan: CellPlan, trace: GRUTrace, now: slice, speaker: Tensor, state: Tensor
) -> Tensor:
    """The history GRU's step: g [M, n, D_g] of this step from that of the step before."""
    from_input = torch.baddbmm(given.history[:, now], speaker, given.history_party)
    from_state = torch.baddbmm(given.history_bias, state, given.history_state)
    out = torch.empty_like(state)
    trace.step(now, from_input, from_state, out)
    return out if plan.keep_history is None else out.mul_(plan.keep_history[:, now])


def _party_step(
    given: CellInputs, plan: CellPlan, trace: GRUTrace, now: slice, speaker: Tensor, context: Tensor, out: Tensor
) -> None:
    """The party GRU's step: fill ``out`` [M, n, D_p]."""
    from_input = torch.baddbmm(given.party[:, now], context, given.party_context)
    from_state = torch.baddbmm(given.party_bias, speaker, given.party_state)
    trace.step(now, from_input, from_state, out)
    if plan.keep_party is not None:
        out.mul_(plan.keep_party[:, now])


@dataclass(frozen=True, eq=False)
class _Past:
    """The history every later step attends to, and what its attention found.

    Attributes:
        history: [B, M, T, D_g], g plus positions.
        positions: [T, D_g].
        attention: per step from the second the weights [n M, M, t], row n M + h, column m.
        pooled: [N, M, M, D_g], history h, query m.
        weights: [N, M, M], softmax over h of the scores.
    """

    history: Tensor
    positions: Tensor
    attention: list[Tensor]
    pooled: Tensor
    weights: Tensor

    @classmethod
    def empty(cls, given: CellInputs, plan: CellPlan) -> _Past:
        modalities, _, width = given.fuse.shape
        sizes = plan.steps.sizes
        history = given.fuse.new_empty(sizes[0], modalities, len(sizes), width)
        pooled = torch.zeros_like(given.queries)
        return cls(history, plan.positions, [], pooled, pooled.new_zeros(pooled.shape[:3]))

    def until(self, t: int, count: int) -> Tensor:
        """[n M, t, D_g]: the first t steps of the first ``count`` dialogues."""
        return self.history[:count, :, :t].flatten(0, 1)

    def append(self, t: int, state: Tensor) -> None:
        """Note g [M, n, D_g] of step t."""
        self.history[: state.shape[1], :, t] = state.transpose(0, 1) + self.positions[t]

    def attend(self, t: int, now: slice, given: CellInputs) -> Tensor:
        """The weighted pooled histories of step t, [M, n, M D_g], ready to be fused."""
        queries = given.queries[now]
        past = self.until(t, len(queries))
        attention = torch.bmm(queries.flatten(0, 1), past.transpose(1, 2)).softmax(-1)
        self.attention.append(attention)
        pooled = torch.bmm(attention, past).view_as(queries)
        weights = torch.mul(pooled, given.score).sum(-1).softmax(1)
        self.pooled[now], self.weights[now] = pooled, weights
        return weighted(pooled, weights)


def weighted(pooled: Tensor, weights: Tensor) -> Tensor:
    """(1 + w) pooled, [n, M, M, D_g] (history h, query m) -> [M, n, M D_g]."""
    return torch.addcmul(pooled, pooled, weights.unsqueeze(-1)).permute(2, 0, 1, 3).flatten(2)


class _Return:
    """The way back in time; collects the gradients of ``CellInputs``."""

    def __init__(
        self, given: CellInputs, plan: CellPlan, past: _Past, history: GRUTrace, party: GRUTrace, context: Tensor
    ) -> None:
        self.given, self.plan, self.past = given, plan, past
        self.history, self.party, self.context = history, party, context
        self.history_input, self.history_state = history.slopes()
        self.party_input, self.party_state = party.slopes()
        self.grad_queries = torch.zeros_like(past.pooled)
        self.grad_past = torch.zeros_like(past.history)
        self.grad_scores = torch.zeros_like(past.weights)
        self.grad_context = torch.zeros_like(context)

    def walk(self, grad_party: Tensor, grad_context: Tensor) -> tuple[Tensor, ...]:
        """Gradients of ``CellInputs.tensors`` from those of the outputs."""
        given = self.given
        to_speaker = torch.zeros_like(torch.cat((grad_party, grad_party[:, :1]), 1))
        from_later: Tensor | None = None
        back = {name: getattr(given, name).transpose(1, 2).contiguous() for name in _RECURRENT}
        for t, now in reversed(list(enumerate(self.plan.steps.slices))):
            grad = grad_party[:, now] + to_speaker.index_select(1, self.plan.later[now])
            if self.plan.keep_party is not None:
                grad *= self.plan.keep_party[:, now]
            on_input, on_state, speaker = _gru_back(self.party_input, self.party_state, self.party, now, grad)
            speaker.baddbmm_(on_state, back["party_state"])
            if t:
                self._attention_back(t, now, torch.baddbmm(grad_context[:, now], on_input, back["party_context"]), back)
            grad = self.grad_past[: now.stop - now.start, :, t].transpose(0, 1).contiguous()
            if from_later is not None:
                grad[:, : from_later.shape[1]] += from_later
            if self.plan.keep_history is not None:
                grad *= self.plan.keep_history[:, now]
            on_input, on_state, from_later = _gru_back(self.history_input, self.history_state, self.history, now, grad)
            from_later.baddbmm_(on_state, back["history_state"])
            to_speaker[:, now] = speaker.baddbmm_(on_input, back["history_party"])
        return self._gradients()

    def _attention_back(self, t: int, now: slice, grad: Tensor, back: dict[str, Tensor]) -> None:
        """From the gradient of c [M, n, D_g] to those of scores, queries and history."""
        self.grad_context[:, now] = grad
        pooled, weights, queries = self.past.pooled[now], self.past.weights[now], self.given.queries[now]
        modalities = pooled.shape[1]
        on_weighted = torch.bmm(grad, back["fuse"]).unflatten(2, (modalities, -1)).permute(1, 2, 0, 3)
        on_weights = (on_weighted * pooled).sum(-1)
        on_scores = weights * (on_weights - (weights * on_weights).sum(1, keepdim=True))
        self.grad_scores[now] = on_scores
        on_pooled = torch.addcmul(on_weighted, on_weighted, weights.unsqueeze(-1))
        on_pooled = on_pooled.addcmul(on_scores.unsqueeze(-1), self.given.score).flatten(0, 1)
        past, attention = self.past.until(t, len(pooled)), self.past.attention[t - 1]
        on_attention = torch.bmm(on_pooled, past.transpose(1, 2))
        on_logits = attention * (on_attention - (attention * on_attention).sum(-1, keepdim=True))
        self.grad_queries[now] = torch.bmm(on_logits, past).view_as(queries)
        weights_of = torch.cat((attention, on_logits), 1).transpose(1, 2)
        on_past = torch.bmm(weights_of, torch.cat((on_pooled, queries.flatten(0, 1)), 1))
        self.grad_past[: len(pooled), :, :t] += on_past.unflatten(0, (-1, modalities))

    def _gradients(self) -> tuple[Tensor, ...]:
        on_history, on_party = self.history_input.flatten(2), self.party_input.flatten(2)
        on_history_state, on_party_state = self.history_state.flatten(2), self.party_state.flatten(2)
        speaker = self.party.before.transpose(1, 2)
        fused = weighted(self.past.pooled, self.past.weights)
        return CellInputs(
            history=on_history,
            party=on_party,
            queries=self.grad_queries,
            history_party=torch.bmm(speaker, on_history),
            history_state=torch.bmm(self.history.before.transpose(1, 2), on_history_state),
            history_bias=on_history_state.sum(1, keepdim=True),
            party_context=torch.bmm(self.context.transpose(1, 2), on_party),
            party_state=torch.bmm(speaker, on_party_state),
            party_bias=on_party_state.sum(1, keepdim=True),
            score=(self.grad_scores.unsqueeze(-1) * self.past.pooled).sum((0, 1)),
            fuse=torch.bmm(fused.transpose(1, 2), self.grad_context),
            fuse_bias=self.grad_context.sum(1, keepdim=True),
        ).tensors


_RECURRENT = ("history_party", "history_state", "party_context", "party_state", "fuse")


def _gru_back(
    on_input: Tensor, on_state: Tensor, trace: GRUTrace, now: slice, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Turn this step's slopes into gradients of x and v; also what of ``grad`` goes straight to h'."""
    on_input, on_state = on_input[:, now], on_state[:, now]
    on_input.mul_(grad.unsqueeze(2))
    on_state.mul_(grad.unsqueeze(2))
    return on_input.flatten(2), on_state.flatten(2), grad * trace.gates[:, now].chunk(3, -1)[1]
