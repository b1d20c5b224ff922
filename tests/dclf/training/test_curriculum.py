"""Which dialogues an epoch trains on when training begins with the easiest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cmp_to_key
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dclf.config import Config
from dclf.data.batch import Batch
from dclf.data.dialogue import Dialogue
from dclf.data.index import DialogueIndex
from dclf.data.reader import ShardSet
from dclf.losses import Term
from dclf.models.framework import DCLFOutput
from dclf.training.batches import CachedSplit, shuffled
from dclf.training.curriculum import Curriculum, difficulty
from dclf.training.local import LocalSource
from dclf.training.reports import EpochReport
from tests.dclf.models.golden import Golden
from tests.dclf.training.test_loop import Recorder, run, timeless, with_

Turns = Sequence[tuple[int, int]]
"""Label, -1 for none, and speaker of every utterance."""

DIALOGUES = st.lists(
    st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 2)), min_size=1, max_size=8), min_size=1, max_size=12
)


def index_of(dialogues: Sequence[Turns]) -> DialogueIndex:
    lengths = np.array([len(turns) for turns in dialogues], np.int64)
    flat = np.array([turn for turns in dialogues for turn in turns], np.int32).reshape(-1, 2)
    return DialogueIndex(
        dialogue_ids=tuple(f"d{number}" for number in range(len(dialogues))),
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        labels=flat[:, 0],
        speakers=flat[:, 1],
        shards=("one",) * len(dialogues),
        rows=np.arange(len(dialogues)),
    )


def fraction(turns: Turns) -> tuple[int, int]:
    """S + P and n + P, counted one utterance after the other; 1 and 1 where nothing is labelled."""
    last: dict[int, int] = {}
    shifts = count = 0
    for label, speaker in turns:
        if label >= 0:
            shifts += last.get(speaker, label) != label
            count += 1
            last[speaker] = label
    return (shifts + len(last), count + len(last)) if count else (1, 1)


def harder(one: Turns, two: Turns) -> int:
    """Whether the first is harder, in whole numbers: a / b > c / d where a d > c b."""
    (a, b), (c, d) = fraction(one), fraction(two)
    return a * d - c * b


@given(DIALOGUES, st.integers(1, 15))
def test_every_epoch_adds_a_bucket_of_harder_dialogues(dialogues: list[Turns], buckets: int) -> None:
    curriculum = Curriculum(index_of(dialogues), buckets)
    order = sorted(range(len(dialogues)), key=cmp_to_key(lambda one, two: harder(dialogues[one], dialogues[two])))
    assert [name for bucket in curriculum.buckets for name in bucket] == [f"d{place}" for place in order]
    count = min(buckets, len(dialogues))
    assert len(curriculum.buckets) == count
    sizes = [len(bucket) for bucket in curriculum.buckets]
    assert min(sizes) > 0
    assert max(sizes) - min(sizes) <= 1
    for epoch in range(1, buckets + 3):
        total = sum(sizes[: min(epoch, count)])
        assert curriculum.dialogues(epoch) == {f"d{place}" for place in order[:total]}


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 2)), min_size=1))
def test_difficulty_is_that_of_the_dialogue_without_its_unlabelled_utterances(turns: Turns) -> None:
    labels, speakers = zip(*turns, strict=True)
    shifts, count = fraction(turns)
    assert difficulty(labels, speakers) == shifts / count
    labelled = [turn for turn in turns if turn[0] >= 0]
    if labelled:
        assert difficulty(*zip(*labelled, strict=True)) == difficulty(labels, speakers) < 1


def test_the_authors_difficulty() -> None:
    golden = Golden("multidag")
    for place, length in enumerate(golden.layout.lengths):
        labels, speakers = (golden[key][place, :length].numpy() for key in ("labels", "speakers"))
        shifts, count = (int(golden[f"expected/{key}"][place]) for key in ("emotion_shifts", "speaker_count"))
        assert difficulty(labels, speakers) == pytest.approx((shifts + count) / (length + count), abs=1e-12)
        assert difficulty(labels, speakers) == pytest.approx(float(golden["expected/difficulty"][place]), abs=1e-12)


class Share(LocalSource):
    """Every second dialogue, from the first or from the second on."""

    def __init__(self, shards: ShardSet, modalities: tuple[str, ...], start: int) -> None:
        super().__init__(shards, modalities)
        self._start = start

    def dialogues(self, split: str) -> Iterator[Dialogue]:
        return (one for place, one in enumerate(super().dialogues(split)) if place % 2 == self._start)


@pytest.mark.parametrize("budget", [0, 2**30])
def test_the_workers_shares_together_are_the_buckets_whether_kept_or_streamed(
    config: Config, shards: ShardSet, budget: int
) -> None:
    curriculum = Curriculum(shards.index("train"), 3)
    splits = [CachedSplit(Share(shards, config.data.modalities, start), "train", budget) for start in (0, 1)]
    for split in splits:
        split.fill()
        assert (split.dialogues is None) == (budget == 0)
    for epoch in (1, 2, 3, 4):
        ids = curriculum.dialogues(epoch)
        names = [one.dialogue_id for split in splits for one in shuffled(split, 0, epoch, 2**20, ids)]
        assert sorted(names) == sorted(ids)
    assert sorted(curriculum.dialogues(3)) == sorted(shards.index("train").dialogue_ids)


TRAINED: list[str] = []
"""Dialogues that ``watch`` saw since the epoch began."""


def watch(output: DCLFOutput, batch: Batch) -> Term:
    """A term of the loss that is nothing, and sees what is trained on."""
    TRAINED.extend(batch.dialogue_ids)
    return Term(output.logits.sum() * 0, torch.tensor(float(len(batch.labels))))


class Epochs(Recorder):
    """Which dialogues each epoch trained on, beside what a ``Recorder`` hears."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[list[str]] = []
        TRAINED.clear()

    def epoch(self, report: EpochReport, state: dict[str, Any]) -> None:
        super().epoch(report, state)
        self.trained.append(sorted(TRAINED))
        TRAINED.clear()


@pytest.mark.parametrize("cache_mb", [256, 0])
def test_a_training_follows_it_and_goes_on_where_it_stopped(config: Config, shards: ShardSet, cache_mb: int) -> None:
    config = with_(with_(config, "data", cache_mb=cache_mb), "loss", terms={f"{__name__}:watch": 0.0})
    config = with_(config, "train", curriculum=3, epochs=4)
    ids = [sorted(Curriculum(shards.index("train"), 3).dialogues(epoch)) for epoch in (1, 2, 3, 4)]
    assert len(ids[0]) < len(ids[1]) < len(ids[2]) == len(ids[3])
    whole, later = Epochs(), Epochs()
    final = run(config, shards, reporter=whole)
    assert whole.trained == ids
    assert timeless(run(config, shards, reporter=later, state=whole.states[0])) == timeless(final)
    assert later.trained == ids[1:]


def test_patience_counts_from_the_epoch_that_trains_on_all(config: Config, shards: ShardSet) -> None:
    config = with_(config, "train", curriculum=4, epochs=12, lr=1e-9, patience=1)
    assert 5 <= len(run(config, shards).history) < 12


def test_the_bank_is_of_one_age_while_dialogues_wait(config: Config, shards: ShardSet) -> None:
    config = with_(config, "train", curriculum=3, epochs=2)
    epochs = Epochs()
    run(config, shards, reporter=epochs)
    index, waiting = shards.index("train"), {*Curriculum(shards.index("train"), 3).buckets[2]}
    assert waiting
    first, second = (state["bank"]["states"] for state in epochs.states)
    for name, start, length in zip(index.dialogue_ids, index.offsets, index.lengths, strict=True):
        if name in waiting:
            assert not torch.equal(first[start : start + length], second[start : start + length])


def test_a_single_bucket_changes_nothing(config: Config, shards: ShardSet) -> None:
    config = with_(config, "train", epochs=1)
    assert timeless(run(with_(config, "train", curriculum=1), shards)) == timeless(run(config, shards))
