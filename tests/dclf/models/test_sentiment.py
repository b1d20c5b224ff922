"""Which sentiment an emotion has, and which pairs of utterances are compared."""

from __future__ import annotations

import pytest
import torch

from dclf.data.importers.datasets import CORPORA
from dclf.layout import Layout
from dclf.models.sentiment import SENTIMENTS, Shift, blocks_of, sentiments_of, shifts_of


@pytest.mark.parametrize("name", CORPORA)
def test_every_class_of_the_known_corpora_has_one(name: str) -> None:
    assert len(sentiments_of(CORPORA[name].class_names)) == len(CORPORA[name].class_names)


def test_names_are_read_in_any_case() -> None:
    assert [SENTIMENTS[i] for i in sentiments_of(("Joy", "neutral", "SURPRISE", "sad"))] == [
        *("positive", "neutral", "negative", "negative"),
    ]


def test_all_ordered_pairs_of_a_block_count() -> None:
    layout = Layout.of([5, 1])
    blocks = blocks_of(layout, 3)
    assert blocks.lengths == (3, 2, 1)
    targets = torch.tensor([0, 1, 0, 2, 2, 1])
    rows = [(0, 1, 2), (3, 4), (5,)]
    pairs = [(i, j) for block in rows for i in block for j in block]
    assert shifts_of(targets, blocks).tolist() == [int(targets[i] != targets[j]) for i, j in pairs]
    shift, hidden = Shift(4), torch.randn(6, 4)
    whole = torch.cat((shift.first, shift.second), 1)
    expected = torch.stack([whole @ torch.cat((hidden[i], hidden[j])) + shift.bias for i, j in pairs])
    torch.testing.assert_close(shift(hidden, blocks), expected)
