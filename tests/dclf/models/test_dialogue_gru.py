"""The GRU over dialogues is torch's, dialogue by dialogue."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.dialogue_gru import DialogueGRU


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
def test_it_is_torchs(layers: int, bidirectional: bool) -> None:
    torch.manual_seed(0)
    ours = DialogueGRU(4, 3, layers=layers, bidirectional=bidirectional).double()
    theirs = nn.GRU(4, 3, layers, batch_first=True, bidirectional=bidirectional).double()
    for number, layer in enumerate(ours.layers):
        for direction, end in enumerate(("", "_reverse")[: ours.directions]):
            for name, part in (("weight_ih", layer.input_weight), ("weight_hh", layer.state_weight)):
                getattr(theirs, f"{name}_l{number}{end}").data = part[direction].T.detach().clone()
            for name, part in (("bias_ih", layer.input_bias), ("bias_hh", layer.state_bias)):
                getattr(theirs, f"{name}_l{number}{end}").data = part[direction, 0].detach().clone()
    layout = Layout.of([5, 1, 3])
    rows = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    their_output = torch.cat([theirs(part[None])[0][0] for part in rows.split(layout.lengths)])
    our_output = ours(rows, layout)
    assert_close(our_output, their_output)
    mixture = torch.randn_like(their_output)
    assert_close(*(torch.autograd.grad((out * mixture).sum(), rows)[0] for out in (our_output, their_output)))


@pytest.mark.parametrize("layers", [1, 2])
def test_hearing_row_by_row_says_what_the_whole_dialogue_says(layers: int) -> None:
    torch.manual_seed(0)
    gru, rows = DialogueGRU(4, 3, layers=layers, bidirectional=False).double(), torch.randn(5, 4, dtype=torch.float64)
    states, heard = None, []
    for row in rows.split(1):
        hidden, states = gru.hear(row, states)
        heard.append(hidden)
    assert_close(torch.cat(heard), gru(rows, Layout.of([5])), atol=1e-12, rtol=0)
