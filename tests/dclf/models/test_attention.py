"""The attention over dialogues is torch's, dialogue by dialogue, and utterance by utterance."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.attention import AttendWithin, DialogueAttention, KeysValues

WIDTH, HEADS = 6, 2


def attention(*, causal: bool, dropout: float = 0.0) -> DialogueAttention:
    torch.manual_seed(0)
    return DialogueAttention(WIDTH, HEADS, causal=causal, dropout=dropout).double()


def rows_of(lengths: list[int], seed: int = 1) -> tuple[Tensor, Tensor, Layout]:
    generator = torch.Generator().manual_seed(seed)
    asking, answering = torch.randn(2, sum(lengths), WIDTH, dtype=torch.float64, generator=generator)
    return asking.requires_grad_(), answering.requires_grad_(), Layout.of(lengths)


def torchs(ours: DialogueAttention) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).double()
    layers = ours.query, ours.key, ours.value
    # A bias of the keys, which here has none, changes nothing.
    biases = ours.query.bias, torch.ones_like(ours.query.bias), ours.value.bias
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = torch.cat([x.weight for x in layers]), torch.cat(biases)
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    return theirs


@pytest.mark.parametrize("causal", [True, False])
def test_it_is_torchs(causal: bool) -> None:
    ours = attention(causal=causal)
    theirs = torchs(ours)
    asking, answering, layout = rows_of([5, 1, 3])

    def reference(query: Tensor, answered: Tensor) -> Tensor:
        later = torch.ones(len(query), len(query)).triu(1).bool() if causal else None
        output: Tensor = theirs(query[None], answered[None], answered[None], attn_mask=later, need_weights=False)[0][0]
        return output

    parts = zip(asking.split(layout.lengths), answering.split(layout.lengths), strict=True)
    their_output, our_output = torch.cat([reference(*part) for part in parts]), ours(asking, answering, layout)
    assert_close(our_output, their_output)
    mixture = torch.randn_like(their_output)
    inputs = asking, answering
    gradients = (torch.autograd.grad((out * mixture).sum(), inputs) for out in (our_output, their_output))
    for of_ours, of_theirs in zip(*gradients, strict=True):
        assert_close(of_ours, of_theirs)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(0, 99))
def test_one_by_one_is_as_together(lengths: list[int], seed: int) -> None:
    causal = attention(causal=True)
    asking, answering, layout = rows_of(lengths, seed)
    together = causal(asking, answering, layout)
    for x, y, outputs in zip(*(rows.split(layout.lengths) for rows in (asking, answering, together)), strict=True):
        memory: KeysValues | None = None
        for i in range(len(x)):
            row, memory = causal.hear(x[i : i + 1], y[i : i + 1], memory)
            assert_close(row[0], outputs[i])


@pytest.mark.parametrize("causal", [True, False])
def test_other_dialogues_change_no_bit(causal: bool) -> None:
    layer = attention(causal=causal).float()
    asking, answering, layout = rows_of([5, 9, 3])
    asking, answering = asking.float(), answering.float()
    others = (layout.dialogue_of != 1)[:, None]
    before = layer(asking, answering, layout)
    after = layer(*(torch.where(others, rows * 1e6, rows) for rows in (asking, answering)), layout)
    assert torch.equal(before[~others[:, 0]], after[~others[:, 0]])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("drops", [True, False])
def test_gradients_are_those_of_finite_differences(causal: bool, drops: bool) -> None:
    torch.manual_seed(2)
    rows = [torch.randn(6, HEADS, 3, dtype=torch.float64).requires_grad_() for _ in range(3)]
    keep = torch.randint(2, (HEADS * (4 + 1 + 9),)).double() * 2 if drops else None
    inputs = (*rows, keep, (2, 1, 3), causal)
    assert torch.autograd.gradcheck(AttendWithin.apply, inputs, fast_mode=True)


def test_weights_are_dropped_in_training_alone() -> None:
    layer, rows = attention(causal=False, dropout=0.5), rows_of([6])
    assert not torch.equal(layer(*rows), layer(*rows))
    layer.eval()
    assert torch.equal(layer(*rows), attention(causal=False)(*rows))
