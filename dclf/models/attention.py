"""Multi-head attention of the utterances of each dialogue to one another, and its form for one utterance at a time.

    Q = W_q x + b_q,  K = W_k y,  V = W_v y + b_v                   x asks, y answers; they may be one
    a_ij = softmax over j of Q_i . K_j / sqrt(H / A)                per head, within i's dialogue; causal: j <= i
    out_i = W_o [sum over j of dropout(a_ij) V_j, for every head] + b_o

    N   utterances of the batch   n   of one dialogue   H   width   A   heads   t   utterances heard before

A bias of K would add the same to all scores of a query, which the softmax does not see; there is none.

The four products are those of packed rows. What stands between them goes from dialogue to dialogue: a row is the same
to the last bit whatever other dialogues are in the batch, and on a CPU a batch takes a third of the time that torch's
own attention takes over padded dialogues (IEMOCAP's lengths, 16 of them).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.dropout import keep_mask
from dclf.models.gradient import by_hand


@dataclass(frozen=True, eq=False)
class KeysValues:
    """What an attention keeps of the utterances heard so far.

    Attributes:
        keys: [t, A, H / A], K.
        values: [t, A, H / A], V.
    """

    keys: Tensor
    values: Tensor

    def and_then(self, key: Tensor, value: Tensor) -> KeysValues:
        """These and those of the next utterance, each [1, A, H / A]; these stay as they are."""
        return KeysValues(torch.cat((self.keys, key)), torch.cat((self.values, value)))


class DialogueAttention(nn.Module):
    """Attention within each dialogue.

    Args:
        width: H, of queries, keys, values and the output.
        heads: A, which divides H.
        causal: hear no later utterance.
        dropout: dropout rate of the weights a.
    """

    def __init__(self, width: int, heads: int, *, causal: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, asking: Tensor, answering: Tensor, layout: Layout) -> Tensor:
        """x [N, H] and y [N, H] -> [N, H]; computed in the parameters' precision, save for the products."""
        projected = self._project(asking, answering)
        attended = AttendWithin.apply(*projected, self._keep(projected[0], layout), layout.lengths, self.causal)  # type: ignore[no-untyped-call]
        return self.output(attended.flatten(1))  # type: ignore[no-any-return]

    def hear(self, asking: Tensor, answering: Tensor, memory: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """The next utterance, with ``causal``: row t of ``forward`` where the dialogue ends with it.

        Args:
            asking: x of the utterance, [1, H].
            answering: y of it, [1, H].
            memory: of the utterances before it; None at the first. It is not changed.

        Returns:
            The output [1, H], and the memory for the next utterance.
        """
        query, key, value = self._project(asking, answering)
        memory = KeysValues(key, value) if memory is None else memory.and_then(key, value)
        query, key, value = (rows.transpose(0, 1) for rows in (query, memory.keys, memory.values))
        weights = torch.bmm(query, key.transpose(1, 2)).div(math.sqrt(query.shape[2])).softmax(-1)
        return self.output(torch.bmm(weights, value).transpose(0, 1).flatten(1)), memory

    def _project(self, asking: Tensor, answering: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q, K and V, each [N, A, H / A]."""
        projected = self.query(asking), self.key(answering), self.value(answering)
        dtype = self.query.weight.dtype
        query, key, value = (rows.to(dtype).unflatten(1, (self.heads, -1)) for rows in projected)
        return query, key, value

    def _keep(self, like: Tensor, layout: Layout) -> Tensor | None:
        """A scaled dropout mask [A sum of n^2] for the weights; none in evaluation."""
        if not self.training or not self.dropout:
            return None
        return keep_mask((self.heads * sum(n * n for n in layout.lengths),), self.dropout, like)


class AttendWithin(torch.autograd.Function):
    """What the heads sum up of each dialogue's values.

    query, key, value [N, A, H / A], keep [A sum of n^2] or None, lengths of the dialogues -> [N, A, H / A]. ``keep`` is
    the scaled dropout mask of the weights, dialogue after dialogue.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, keep: Tensor | None, lengths: Sequence[int], causal: bool
    ) -> Tensor:
        heads, scale = query.shape[1], 1 / math.sqrt(query.shape[2])
        weights = query.new_empty(heads * sum(n * n for n in lengths))
        output = torch.empty_like(query, memory_format=torch.contiguous_format)
        rows = (by_head(part, lengths) for part in (query, key, value, output))
        with torch.autocast(query.device.type, enabled=False):
            for q, k, v, out, w, mask in zip(*rows, *squares(heads, lengths, weights, keep), strict=True):
                scores = torch.baddbmm(later(w, causal=causal), q, k.transpose(1, 2), alpha=scale)
                torch.softmax(scores, -1, out=w)
                out.copy_(torch.bmm(w if mask is None else w * mask, v))
        ctx.lengths = lengths
        ctx.save_for_backward(query, key, value, weights, keep)
        return output

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        *inputs, weights, keep = ctx.saved_tensors
        lengths, heads, scale = ctx.lengths, grad.shape[1], 1 / math.sqrt(grad.shape[2])
        grads = [torch.empty_like(part, memory_format=torch.contiguous_format) for part in inputs]
        rows = (by_head(part, lengths) for part in (*inputs, *grads, grad))
        for q, k, v, on_q, on_k, on_v, g, w, mask in zip(*rows, *squares(heads, lengths, weights, keep), strict=True):
            on_v.copy_(torch.bmm((w if mask is None else w * mask).transpose(1, 2), g))
            on_w = torch.bmm(g, v.transpose(1, 2))
            if mask is not None:
                on_w.mul_(mask)
            on_scores = on_w.sub_((on_w * w).sum(-1, keepdim=True)).mul_(w).mul_(scale)
            on_q.copy_(torch.bmm(on_scores, k))
            on_k.copy_(torch.bmm(on_scores.transpose(1, 2), q))
        return *grads, None, None, None


def by_head(rows: Tensor, lengths: Sequence[int]) -> list[Tensor]:
    """Views [A, n, H / A] of rows [N, A, H / A], one for each dialogue."""
    return [part.transpose(0, 1) for part in rows.split(list(lengths))]


def squares(heads: int, lengths: Sequence[int], *flat: Tensor | None) -> list[list[Tensor | None]]:
    """Views [A, n, n] of [A sum of n^2], one for each dialogue; None for each where there is no tensor."""
    sizes = [heads * n * n for n in lengths]
    return [
        [None] * len(sizes)
        if one is None
        else [part.view(heads, n, n) for part, n in zip(one.split(sizes), lengths, strict=True)]
        for one in flat
    ]


def later(weights: Tensor, *, causal: bool) -> Tensor:
    """What is added to the scores of weights [A, n, n]: with ``causal`` -infinity where a key comes after its query."""
    if not causal:
        return weights.new_zeros(1, 1)
    return weights.new_full(weights.shape[1:], -math.inf).triu_(1)
