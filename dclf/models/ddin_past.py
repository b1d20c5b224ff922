"""DDIN's attention over the history of all modalities, and its gradient by hand.

q_hm  query of modality m against the history of modality h       H_h [t, D_g]  the earlier states with positions
a_hm  = softmax over time of H_h q_hm,  pooled_hm = a_hm H_h      w_hm = softmax over h of score_m . pooled_hm

M  modalities   N  rows in the order of the walk   B  dialogues   T  steps   n  dialogues of a step
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dclf.models.steps import Steps


@dataclass(frozen=True, eq=False)
class Past:
    """The history that every later step attends to, and what its attention found.

    Attributes:
        queries: [N, M, M, D_g], history h, query m.
        score: [M, D_g].
        positions: [T, D_g], added to the states for the attention only.
        steps: the walk.
        history: [B, M, T, D_g], H.
        attention: a of every step from the second, [n M, M, t], row n M + h, column m.
        pooled: [N, M, M, D_g], zero at the first step.
        weights: [N, M, M], w, zero at the first step.
    """

    queries: Tensor
    score: Tensor
    positions: Tensor
    steps: Steps
    history: Tensor
    attention: list[Tensor]
    pooled: Tensor
    weights: Tensor

    @classmethod
    def empty(cls, queries: Tensor, score: Tensor, positions: Tensor, steps: Steps) -> Past:
        """Before the first step."""
        _, modalities, _, width = queries.shape
        history = queries.new_empty(steps.sizes[0], modalities, len(steps.sizes), width)
        pooled = torch.zeros_like(queries)
        return cls(queries, score, positions, steps, history, [], pooled, pooled.new_zeros(pooled.shape[:3]))

    def append(self, t: int, state: Tensor) -> None:
        """Take in the states g [M, n, D_g] of step t."""
        self.history[: state.shape[1], :, t] = state.transpose(0, 1) + self.positions[t]

    def until(self, t: int) -> Tensor:
        """[n M, t, D_g]: what the dialogues of step t attend to."""
        return self.history[: self.steps.sizes[t], :, :t].flatten(0, 1)

    def attend(self, t: int) -> Tensor:
        """The weighted pooled histories of step t > 0, [M, n, M D_g], for the fusing layer."""
        now = self.steps.slices[t]
        queries, past = self.queries[now], self.until(t)
        attention = torch.bmm(queries.flatten(0, 1), past.transpose(1, 2)).softmax(-1)
        self.attention.append(attention)
        pooled = torch.bmm(attention, past).view_as(queries)
        weights = torch.mul(pooled, self.score).sum(-1).softmax(1)
        self.pooled[now], self.weights[now] = pooled, weights
        return weighted(pooled, weights)


def weighted(pooled: Tensor, weights: Tensor) -> Tensor:
    """(1 + w) pooled, [n, M, M, D_g] (history h, query m) -> [M, n, M D_g], the histories side by side."""
    return torch.addcmul(pooled, pooled, weights.unsqueeze(-1)).permute(2, 0, 1, 3).flatten(2)


@dataclass(frozen=True, eq=False)
class PastGradients:
    """The way back through ``Past``, filled from the last step to the first.

    Attributes:
        past: what the way forward left.
        history: [B, M, T, D_g], gradient of H, complete for step t once the later steps are through.
        queries: [N, M, M, D_g], gradient of the queries.
        scores: [N, M, M], gradient of score . pooled.
    """

    past: Past
    history: Tensor
    queries: Tensor
    scores: Tensor

    @classmethod
    def zero(cls, past: Past) -> PastGradients:
        """Before the last step."""
        return cls(past, *(torch.zeros_like(part) for part in (past.history, past.queries, past.weights)))

    def of_state(self, t: int) -> Tensor:
        """[M, n, D_g]: gradient of the states of step t."""
        return self.history[: self.past.steps.sizes[t], :, t].transpose(0, 1)

    def of_score(self) -> Tensor:
        """[M, D_g], once all steps are through."""
        return torch.einsum("nhm,nhmd->md", self.scores, self.past.pooled)

    def step(self, t: int, on_weighted: Tensor) -> None:
        """Take in the gradient of ``Past.attend(t)``."""
        past, now = self.past, self.past.steps.slices[t]
        pooled = self._through_weights(now, on_weighted.unflatten(2, (past.score.shape[0], -1)).permute(1, 2, 0, 3))
        history, attention, queries = past.until(t), past.attention[t - 1], past.queries[now].flatten(0, 1)
        on_attention = torch.bmm(pooled, history.transpose(1, 2))
        on_logits = _through_softmax(on_attention, attention, -1)
        self.queries[now] = torch.bmm(on_logits, history).view_as(past.queries[now])
        shares = torch.cat((attention, on_logits), 1).transpose(1, 2)
        on_history = torch.bmm(shares, torch.cat((pooled, queries), 1))
        self.history[: past.steps.sizes[t], :, :t] += on_history.unflatten(0, (-1, past.score.shape[0]))

    def _through_weights(self, now: slice, on_weighted: Tensor) -> Tensor:
        """Gradient of (1 + w) pooled [n, M, M, D_g] -> gradient of pooled [n M, M, D_g]."""
        pooled, weights = self.past.pooled[now], self.past.weights[now]
        on_weights = (on_weighted * pooled).sum(-1)
        on_scores = _through_softmax(on_weights, weights, 1)
        self.scores[now] = on_scores
        grad = torch.addcmul(on_weighted, on_weighted, weights.unsqueeze(-1))
        return grad.addcmul_(on_scores.unsqueeze(-1), self.past.score).flatten(0, 1)


def _through_softmax(grad: Tensor, weights: Tensor, dim: int) -> Tensor:
    """Gradient of softmax's output -> gradient of its input."""
    product = grad * weights
    return product.addcmul_(weights, product.sum(dim, keepdim=True), value=-1)
