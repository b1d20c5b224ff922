"""What GraphCFC and GraphMFT share: who is heard, and which dialogues go through the graphs together."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from dclf.layout import Layout
from dclf.models.contract import base_model_class
from dclf.models.pair_graph import TOGETHER, PairGraph, groups
from dclf.testing.batches import SPEAKERS
from tests.dclf.models.small import SMALL


def test_a_window_reaches_back_and_ahead() -> None:
    (first, second) = PairGraph(Layout.of([4, 1]), 2, 1).hearing
    assert first.int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1]]
    assert second.tolist() == [[True]]


def test_without_a_future_no_later_utterance_is_heard() -> None:
    (heard,) = PairGraph(Layout.of([4]), 2, 0).hearing
    assert heard.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1]]


def test_groups_are_whole_dialogues_one_after_the_other() -> None:
    lengths = [TOGETHER - 3, 2, 1, 1, TOGETHER + 5, 4]
    parts = [(rows.start, rows.stop, layout.lengths) for rows, layout in groups(Layout.of(lengths))]
    ends = [TOGETHER, TOGETHER + 1, 2 * TOGETHER + 6, 2 * TOGETHER + 10]
    grouped = [tuple(lengths[:3]), (1,), (TOGETHER + 5,), (4,)]
    assert parts == list(zip([0, *ends], ends, grouped, strict=False))


@pytest.mark.parametrize("name", ["graphcfc", "graphmft"])
def test_a_dialogue_of_another_group_is_as_alone(name: str) -> None:
    torch.manual_seed(3)
    kind = base_model_class(name)
    model = kind(("audio", "visual"), SPEAKERS, True, kind.Config(**SMALL[name])).double().eval()
    layout = Layout.of([TOGETHER - 1, 4])
    encoded = {m: torch.randn(layout.utterances, 6, dtype=torch.float64) for m in ("audio", "visual")}
    speakers = torch.arange(layout.utterances) % SPEAKERS
    whole = model(encoded, speakers, layout).hidden
    alone = model({m: x[-4:] for m, x in encoded.items()}, speakers[-4:], Layout.of([4])).hidden
    assert_close(whole[-4:], alone, atol=1e-12, rtol=0)
