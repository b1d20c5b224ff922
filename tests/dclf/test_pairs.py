from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dclf.bank import MemoryBank
from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.negatives import EmotionIndex
from dclf.pairs import PairSampler

lengths_strategy = st.lists(st.integers(1, 7), min_size=2, max_size=5)


def batch_of(lengths: list[int], seed: int, first: int = 0) -> Batch:
    random = np.random.default_rng(seed)
    layout = Layout.of(lengths)
    return Batch(
        layout=layout,
        features={},
        speakers=torch.zeros(layout.utterances, dtype=torch.int64),
        labels=torch.from_numpy(random.integers(0, 3, layout.utterances)),
        positions=torch.arange(first, first + layout.utterances),
        dialogue_ids=tuple(map(str, range(len(lengths)))),
    )


@given(lengths_strategy, st.integers(1, 9), st.integers(0, 99))
def test_batch_pairs_are_own_history_against_another_dialogue(lengths: list[int], window: int, seed: int) -> None:
    batch = batch_of(lengths, seed)
    pairs = PairSampler(window, seed).pairs(batch, epoch=1)
    assert pairs.candidates is None
    width = pairs.positive_mask.shape[1]
    owner, time = batch.layout.dialogue_of, batch.layout.time
    for anchor in range(batch.layout.utterances):
        history = pairs.index[anchor, :width][pairs.positive_mask[anchor]].tolist()
        assert history == [anchor - p for p in range(1, min(window, int(time[anchor])) + 1)]
        run = pairs.index[anchor, width:][pairs.negative_mask[anchor]]
        assert (owner[run] != owner[anchor]).all()


def test_bank_pairs_read_each_candidate_once() -> None:
    lengths = [4, 5, 3]
    everything = batch_of(lengths, 0)
    bank = MemoryBank(12, 2)
    bank.write(torch.arange(12), torch.arange(24.0).view(12, 2))
    bank.turn()
    emotions = EmotionIndex(everything.labels.numpy(), np.array(lengths))
    pairs = PairSampler(3, 0, bank, emotions).pairs(everything, epoch=1)
    assert pairs.candidates is not None
    assert not pairs.candidates.requires_grad
    assert len(torch.unique(pairs.candidates, dim=0)) == len(pairs.candidates)
    places = (pairs.candidates[pairs.index][..., 0] / 2).long()
    assert places[6, :2].tolist() == [5, 4]
    owner = everything.layout.dialogue_of
    run = places[6, 3:][pairs.negative_mask[6]]
    assert (owner[run] != owner[6]).all()


def test_pairs_of_an_utterance_do_not_depend_on_the_batch_around_it() -> None:
    lengths = [4, 6, 5]
    whole = batch_of(lengths, 1)
    bank = MemoryBank(15, 1)
    bank.write(torch.arange(15), torch.arange(15.0).view(15, 1))
    bank.turn()
    sampler = PairSampler(4, 7, bank, EmotionIndex(whole.labels.numpy(), np.array(lengths)))

    def places(batch: Batch) -> torch.Tensor:
        pairs = sampler.pairs(batch, epoch=2)
        assert pairs.candidates is not None
        return pairs.candidates[pairs.index][..., 0]

    last = Batch(
        layout=Layout.of([5]),
        features={},
        speakers=whole.speakers[10:],
        labels=whole.labels[10:],
        positions=whole.positions[10:],
        dialogue_ids=("2",),
    )
    assert torch.equal(places(last), places(whole)[10:])


@pytest.mark.parametrize("source", ["bank", "batch"])
def test_pairs_reach_over_unlabelled_utterances(source: str) -> None:
    lengths = [5, 6, 4, 2]
    whole = batch_of(lengths, 2)
    unlabelled = torch.tensor([1, 3, 5, 9, 12, 15, 16])
    labels = whole.labels.index_fill(0, unlabelled, -1)
    sparse = replace(whole, labels=labels)
    rows = (labels >= 0).nonzero()[:, 0]
    counts = torch.bincount(whole.layout.dialogue_of[rows]).tolist()
    dense = replace(
        whole,
        layout=Layout.of([count for count in counts if count]),
        speakers=whole.speakers[rows],
        labels=labels[rows],
        positions=torch.arange(len(rows)),
        dialogue_ids=tuple(map(str, range(len(counts)))),
    )

    def rows_of(batch: Batch, total: int) -> tuple[torch.Tensor, torch.Tensor]:
        sampler = PairSampler(3, 7)
        if source == "bank":
            bank = MemoryBank(total, 1)
            bank.write(torch.arange(total), torch.arange(float(total))[:, None])
            bank.turn()
            sampler = PairSampler(3, 7, bank, EmotionIndex(batch.labels.numpy(), np.array(batch.layout.lengths)))
        pairs = sampler.pairs(batch, epoch=1)
        index = pairs.index if pairs.candidates is None else pairs.candidates[pairs.index][..., 0].long()
        return index, torch.cat([pairs.positive_mask, pairs.negative_mask], dim=1)

    index, mask = rows_of(sparse, 17)
    expected, expected_mask = rows_of(dense, len(rows))
    assert not mask[unlabelled].any()
    assert torch.equal(mask[rows], expected_mask)
    assert torch.equal(index[rows][expected_mask], rows[expected][expected_mask])


def test_a_bank_without_its_index_is_refused() -> None:
    with pytest.raises(ValueError, match="both or neither"):
        PairSampler(3, 0, bank=MemoryBank(3, 1))


def test_batch_pairs_do_not_depend_on_the_order_of_the_dialogues() -> None:
    lengths = [4, 6, 5]
    batch = batch_of(lengths, 3)
    starts = np.cumsum([0, *lengths])
    order = [2, 0, 1]
    moved = torch.from_numpy(np.concatenate([np.arange(starts[d], starts[d + 1]) for d in order]))
    other = Batch(
        layout=Layout.of([lengths[d] for d in order]),
        features={},
        speakers=batch.speakers[moved],
        labels=batch.labels[moved],
        positions=batch.positions[moved],
        dialogue_ids=tuple(batch.dialogue_ids[d] for d in order),
    )
    sampler = PairSampler(4, 7)
    here, there = sampler.pairs(batch, epoch=2), sampler.pairs(other, epoch=2)
    assert torch.equal(moved[there.index], here.index[moved])
    assert torch.equal(there.negative_mask, here.negative_mask[moved])
