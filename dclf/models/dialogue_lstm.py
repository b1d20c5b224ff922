"""An LSTM over the utterances of each dialogue, alone or in both directions.

    N   utterances of the batch   K   directions (1 or 2)   H   hidden width per direction   n_t  see ``steps``

The parameters are those of ``nn.LSTM``; on a GPU it also does the work. On a CPU its padded form cannot turn dialogues
of unequal length around and its packed form spends most of its time in small operations, so there both directions
walk together and the gradient is written by hand.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dclf.layout import Layout
from dclf.models.dropout import dropout
from dclf.models.gradient import by_hand
from dclf.models.steps import Steps, arrange, restore


class DialogueLSTM(nn.LSTM):
    """A two-layer LSTM that starts anew with every dialogue.

    Args:
        inputs: input width.
        hidden: H.
        bidirectional: read each dialogue in both directions; else forwards only.
        dropout: dropout rate between the layers.
    """

    def __init__(self, inputs: int, hidden: int, *, bidirectional: bool, dropout: float) -> None:
        super().__init__(inputs, hidden, 2, batch_first=True, dropout=dropout, bidirectional=bidirectional)

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters."""
        return self.all_weights[0][0].dtype

    def forward(self, rows: Tensor, layout: Layout) -> Tensor:  # type: ignore[override]
        """rows [N, inputs] -> [N, K H], forward half first; computed in single precision at least."""
        with torch.autocast(rows.device.type, enabled=False):
            rows = rows.to(self.dtype)
            return self.forward_packed(rows, layout) if rows.is_cuda else self._walk(rows, layout)

    def forward_packed(self, rows: Tensor, layout: Layout) -> Tensor:
        """The same through ``nn.LSTM``'s packed sequences."""
        packed = pack_padded_sequence(
            layout.pad(rows), layout.length_tensor.cpu(), batch_first=True, enforce_sorted=False
        )
        output, _ = super().forward(packed)
        return layout.pack(pad_packed_sequence(output, batch_first=True)[0])

    def hear(self, row: Tensor, states: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The next utterance of one dialogue, forwards only and without gradient.

        Args:
            row: [1, inputs].
            states: what the utterance before gave; None at the first.

        Returns:
            The row [1, H] that ``forward`` has for it, and both layers' hidden states and cells, [2, H] each.
        """
        with torch.no_grad(), torch.autocast(row.device.type, enabled=False):
            heard, after = super().forward(row.to(self.dtype), states)
        return heard, after

    def _walk(self, rows: Tensor, layout: Layout) -> Tensor:
        walks = [Steps.of(layout, backwards=backwards) for backwards in (False, True)[: 1 + self.bidirectional]]
        for layer in range(self.num_layers):
            if layer:
                rows = dropout(rows, self.dropout, self.training)
            rows = self._layer(layer, rows, walks)
        return rows

    def _layer(self, layer: int, rows: Tensor, walks: list[Steps]) -> Tensor:
        weights = self.all_weights[layer * len(walks) : (layer + 1) * len(walks)]
        bias = torch.stack([w[2] + w[3] for w in weights]).unsqueeze(1)
        inputs = torch.baddbmm(bias, arrange(rows, walks), torch.stack([w[0].T for w in weights]))
        recurrent = torch.stack([w[1].T for w in weights])
        hidden = _Recurrence.apply(inputs, recurrent, walks[0])  # type: ignore[no-untyped-call]
        return restore(hidden, walks).flatten(1)


class _Recurrence(torch.autograd.Function):
    """The LSTM's walk.

    inputs [K, N, 4H] = W_ih x + b (in the order i, f, g, o), weight [K, H, 4H] = W_hh transposed -> hidden [K, N, H].
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, steps: Steps) -> Tensor:
        gates = torch.empty_like(inputs)
        hidden, cell, squashed = (inputs.new_empty(*inputs.shape[:2], weight.shape[1]) for _ in range(3))
        before: tuple[Tensor, Tensor] | None = None
        views = zip(*map(steps.views, (inputs, gates, hidden, cell, squashed)), strict=True)
        for total, gate, h, c, tanh_c in views:
            _lstm_step(total, before, weight, gate, h, c, tanh_c)
            before = h, c
        ctx.steps = steps
        ctx.save_for_backward(gates, hidden, cell, squashed, weight)
        return hidden

    @staticmethod
    @by_hand
    def backward(ctx: Any, grad_hidden: Tensor) -> tuple[Tensor, Tensor, None]:
        gates, hidden, cell, squashed, weight = ctx.saved_tensors
        steps: Steps = ctx.steps
        grad_gates, grad_cell = _slopes(gates, steps.before(cell), squashed)
        _unwind(grad_gates, grad_cell, gates, grad_hidden.clone(), weight, steps)
        return grad_gates, torch.bmm(steps.before(hidden).transpose(1, 2), grad_gates), None


def _lstm_step(
    total: Tensor,
    before: tuple[Tensor, Tensor] | None,
    weight: Tensor,
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    tanh_c: Tensor,
) -> None:
    """One step: from W_ih x + b and the state before to the gates, the hidden state, the cell and its tanh."""
    running, width = h.shape[1:]
    if before is not None:
        total = torch.baddbmm(total, before[0][:, :running], weight)
    i, f, g, o = gates.chunk(4, -1)
    torch.sigmoid(total, out=gates)
    torch.tanh(total[..., 2 * width : 3 * width], out=g)
    torch.mul(i, g, out=c)
    if before is not None:
        c.addcmul_(f, before[1][:, :running])
    torch.tanh(c, out=tanh_c)
    torch.mul(o, tanh_c, out=h)


def _slopes(gates: Tensor, before: Tensor, squashed: Tensor) -> tuple[Tensor, Tensor]:
    """What one unit of gradient on the cell (i, f, g) or on h (o) puts on each gate; and what h puts on the cell."""
    i, f, g, o = gates.chunk(4, -1)
    slopes = torch.empty_like(gates)
    on_i, on_f, on_g, on_o = slopes.chunk(4, -1)
    torch.mul(i - i * i, g, out=on_i)
    torch.mul(f - f * f, before, out=on_f)
    torch.addcmul(i, i * g, g, value=-1, out=on_g)
    torch.mul(o - o * o, squashed, out=on_o)
    return slopes, torch.addcmul(o, o * squashed, squashed, value=-1)


def _unwind(
    slopes: Tensor, grad_cell: Tensor, gates: Tensor, grad_hidden: Tensor, weight: Tensor, steps: Steps
) -> None:
    """Walk back in time; ``slopes`` and ``grad_cell`` become the gradients of the gates and of the cell."""
    width = weight.shape[1]
    transposed = weight.transpose(1, 2).contiguous()
    later: tuple[Tensor, Tensor, Tensor] | None = None
    cell_slopes, forget = slopes[..., : 3 * width].unflatten(-1, (3, width)), gates[..., width : 2 * width]
    whole = (slopes, cell_slopes, slopes[..., 3 * width :], grad_cell, forget, grad_hidden)
    for slope, on_cell, on_o, dc, f, dh in reversed(list(zip(*map(steps.views, whole), strict=True))):
        if later is not None:
            going_on = later[0].shape[1]
            dh[:, :going_on] += torch.bmm(later[0], transposed)
        dc.mul_(dh)
        if later is not None:
            dc[:, :going_on].addcmul_(later[1], later[2])
        on_cell.mul_(dc.unsqueeze(2))
        on_o.mul_(dh)
        later = slope, dc, f
