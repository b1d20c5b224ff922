"""A GRU over the utterances of each dialogue, alone or in both directions, which walk together.

N   utterances of the batch   K   directions (1 or 2)   H   hidden width per direction
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.dropout import dropout
from dclf.models.gru import StackedGRU
from dclf.models.steps import Steps, arrange, restore


class DialogueGRU(nn.Module):
    """A GRU of several layers that starts anew with every dialogue.

    Args:
        inputs: input width.
        hidden: H.
        layers: how many.
        bidirectional: read each dialogue in both directions; else forwards only.
        dropout: dropout rate between the layers.
    """

    def __init__(self, inputs: int, hidden: int, *, layers: int, bidirectional: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.directions = 2 if bidirectional else 1
        self.dropout = dropout
        widths = [inputs] + [self.directions * hidden] * (layers - 1)
        self.layers = nn.ModuleList(StackedGRU(self.directions, width, hidden) for width in widths)

    def forward(self, rows: Tensor, layout: Layout) -> Tensor:
        """rows [N, inputs] -> [N, K H], forward half first; computed in the parameters' precision."""
        walks = [Steps.of(layout, backwards=backwards) for backwards in (False, True)[: self.directions]]
        with torch.autocast(rows.device.type, enabled=False):
            rows = rows.to(next(self.parameters()).dtype)
            for number, layer in enumerate(self.layers):
                if number:
                    rows = dropout(rows, self.dropout, self.training)
                rows = restore(layer.walk(arrange(rows, walks), walks[0]), walks).flatten(1)  # type: ignore[operator]
        return rows

    def hear(self, row: Tensor, states: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The next utterance of one dialogue, forwards only and without gradient.

        Args:
            row: [1, inputs].
            states: what the utterance before gave; None at the first.

        Returns:
            The row [1, H] that ``forward`` has for it, and each layer's state [1, 1, H].
        """
        rows, after = row.to(next(self.parameters()).dtype)[None], []
        with torch.no_grad(), torch.autocast(row.device.type, enabled=False):
            for number, layer in enumerate(self.layers):
                rows = layer.step(rows, None if states is None else states[number])  # type: ignore[operator]
                after.append(rows)
        return rows[0], tuple(after)
