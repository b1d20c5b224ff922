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
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dclf.layout import Layout
from dclf.models.steps import Steps


class DialogueLSTM(nn.LSTM):
    """A two-layer LSTM that starts anew with every dialogue.

    Args:
        width: input width, and output width over all directions.
        bidirectional: read each dialogue in both directions, ``width / 2`` wide each; else forwards only.
        dropout: dropout rate between the layers.
    """

    def __init__(self, width: int, *, bidirectional: bool, dropout: float) -> None:
        hidden = width // 2 if bidirectional else width
        super().__init__(width, hidden, 2, batch_first=True, dropout=dropout, bidirectional=bidirectional)

    def forward(self, rows: Tensor, layout: Layout) -> Tensor:  # type: ignore[override]
        """rows [N, width] -> [N, width], forward half first; computed in single precision at least."""
        with torch.autocast(rows.device.type, enabled=False):
            rows = rows.to(self.weight_ih_l0.dtype)
            return self.forward_packed(rows, layout) if rows.is_cuda else self._walk(rows, layout)

    def forward_packed(self, rows: Tensor, layout: Layout) -> Tensor:
        """The same through ``nn.LSTM``'s packed sequences."""
        packed = pack_padded_sequence(
            layout.pad(rows), layout.length_tensor.cpu(), batch_first=True, enforce_sorted=False
        )
        output, _ = super().forward(packed)
        return layout.pack(pad_packed_sequence(output, batch_first=True)[0])

    @torch.compiler.disable
    def _walk(self, rows: Tensor, layout: Layout) -> Tensor:
        steps = Steps.of(layout, (False, True) if self.bidirectional else (False,))
        for layer in range(self.num_layers):
            if layer:
                rows = nn.functional.dropout(rows, self.dropout, self.training)
            rows = self._layer(layer, rows, steps)
        return rows

    def _layer(self, layer: int, rows: Tensor, steps: Steps) -> Tensor:
        weights = self.all_weights[layer * steps.cells : (layer + 1) * steps.cells]
        inputs = torch.stack([torch.addmm(w[2] + w[3], rows, w[0].T) for w in weights])
        recurrent = torch.stack([w[1].T for w in weights])
        hidden = _Recurrence.apply(steps.gather(inputs), recurrent, steps)
        return steps.scatter(hidden).transpose(0, 1).flatten(1)


class _Recurrence(torch.autograd.Function):
    """The LSTM's walk over block rows.

    gates [K*N, 4H] = W_ih x + b (in the order i, f, g, o), weight [K, H, 4H] = W_hh transposed -> hidden [K*N, H].
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, steps: Steps) -> Tensor:
        width = weight.shape[1]
        gates = inputs.clone()
        hidden, cell, squashed = (inputs.new_empty(len(inputs), width) for _ in range(3))
        previous: tuple[Tensor, Tensor] | None = None
        views = zip(*(steps.views(t) for t in (gates, hidden, cell, squashed)), strict=True)
        for gate, h, c, tanh_c in views:
            if previous is not None:
                torch.baddbmm(gate, previous[0][:, : gate.shape[1]], weight, out=gate)
            _lstm_step(gate, previous, h, c, tanh_c)
            previous = h, c
        ctx.steps = steps
        ctx.save_for_backward(gates, hidden, cell, squashed, weight)
        return hidden

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad_hidden: Tensor) -> tuple[Tensor, Tensor, None]:
        gates, hidden, cell, squashed, weight = ctx.saved_tensors
        steps: Steps = ctx.steps
        grad_gates, grad_cell = _local_slopes(gates, cell, squashed, steps)
        _unwind(grad_gates, grad_cell, gates, grad_hidden.clone(), weight, steps)
        return grad_gates, _weight_gradient(hidden, grad_gates, steps), None


def _lstm_step(gate: Tensor, previous: tuple[Tensor, Tensor] | None, h: Tensor, c: Tensor, tanh_c: Tensor) -> None:
    """One step: squash the gates in place, fill the hidden state, the cell and its tanh."""
    i, f, g, o = gate.chunk(4, -1)
    gate[..., : 2 * h.shape[-1]].sigmoid_()
    g.tanh_()
    o.sigmoid_()
    torch.mul(i, g, out=c)
    if previous is not None:
        c.addcmul_(f, previous[1][:, : c.shape[1]])
    torch.tanh(c, out=tanh_c)
    torch.mul(o, tanh_c, out=h)


def _local_slopes(gates: Tensor, cell: Tensor, squashed: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
    """What one unit of gradient on the cell (i, f, g) or on h (o) puts on each gate; and what h puts on the cell."""
    i, f, g, o = gates.chunk(4, -1)
    slopes = torch.empty_like(gates)
    on_i, on_f, on_g, on_o = slopes.chunk(4, -1)
    torch.mul(i - i * i, g, out=on_i)
    torch.mul(f - f * f, steps.before(cell), out=on_f)
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
    views = zip(*(steps.views(t) for t in (slopes, grad_cell, gates, grad_hidden)), strict=True)
    for slope, dc, gate, dh in reversed(list(views)):
        if later is not None:
            going_on = later[0].shape[1]
            dh[:, :going_on] += torch.bmm(later[0], transposed)
        dc *= dh
        if later is not None:
            dc[:, :going_on].addcmul_(later[1], later[2][..., width : 2 * width])
        slope[..., : 3 * width].unflatten(-1, (3, width)).mul_(dc.unsqueeze(2))
        slope[..., 3 * width :].mul_(dh)
        later = slope, dc, gate


def _weight_gradient(hidden: Tensor, grad_gates: Tensor, steps: Steps) -> Tensor:
    """[K, H, 4H]: the sum over all steps of h_{t-1} (gradient of the gates)^T."""
    before = steps.before(hidden).index_select(0, steps.from_blocks).unflatten(0, (steps.cells, -1))
    gates = grad_gates.index_select(0, steps.from_blocks).unflatten(0, (steps.cells, -1))
    return torch.bmm(before.transpose(1, 2), gates)
