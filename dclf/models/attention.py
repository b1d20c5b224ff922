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
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.dropout import dropout


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
        """x [N, H] and y [N, H] -> [N, H]."""
        parts = (rows.split(layout.lengths) for rows in self._project(asking, answering))
        attended = [self._attend(*part) for part in zip(*parts, strict=True)]
        return self.output(torch.cat(attended).flatten(1))  # type: ignore[no-any-return]

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
        return self.output(self._attend(query, memory.keys, memory.values).flatten(1)), memory

    def _project(self, asking: Tensor, answering: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q, K and V, each [N, A, H / A]."""
        projected = self.query(asking), self.key(answering), self.value(answering)
        query, key, value = (rows.unflatten(1, (self.heads, -1)) for rows in projected)
        return query, key, value

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What the heads sum up, [n, A, H / A], for the last n of the n + t utterances that K and V are of."""
        query, key, value = (rows.transpose(0, 1) for rows in (query, key, value))
        shape = query.shape[1], key.shape[1]
        mask = later(*shape, query) if self.causal else query.new_zeros(1, 1)
        scores = torch.baddbmm(mask, query, key.transpose(1, 2), alpha=1 / math.sqrt(query.shape[2]))  # [A, n, n + t]
        weights = dropout(scores.softmax(-1), self.dropout, self.training)
        return torch.bmm(weights, value).transpose(0, 1)


def later(queries: int, keys: int, like: Tensor) -> Tensor:
    """-infinity [queries, keys] where a key comes after its query, else 0; the last query is the last key's."""
    return like.new_full((queries, keys), -math.inf).triu_(keys - queries + 1)
