import torch
from hypothesis import given
from hypothesis import strategies as st

from dclf.layout import Layout

lengths = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(lengths)
def test_pack_undoes_pad(lengths: list[int]) -> None:
    layout = Layout.of(lengths)
    rows = torch.randn(layout.utterances, 3)
    grid = layout.pad(rows)
    assert grid.shape == (len(lengths), max(lengths), 3)
    assert torch.equal(layout.pack(grid), rows)


@given(lengths)
def test_padding_is_zero_and_masked(lengths: list[int]) -> None:
    layout = Layout.of(lengths)
    grid = layout.pad(torch.ones(layout.utterances))
    assert torch.equal(grid.bool(), layout.mask)
    assert int(layout.mask.sum()) == sum(lengths)


@given(lengths)
def test_rows_know_their_dialogue_and_time(lengths: list[int]) -> None:
    layout = Layout.of(lengths)
    expected = [(b, t) for b, n in enumerate(lengths) for t in range(n)]
    assert list(zip(layout.dialogue_of.tolist(), layout.time.tolist(), strict=True)) == expected
