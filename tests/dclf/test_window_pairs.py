from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dclf.config import LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.losses.terms import Denominator, Term
from dclf.models.framework import DCLF
from dclf.objective import Objective
from dclf.testing.batches import INFO, random_rows
from dclf.window_pairs import WindowPairs, WindowSampler
from tests.dclf.models.small import SMALL

MODALITIES = ("text", "audio", "visual")
LENGTHS = (5, 1, 8, 3, 6)
lengths_strategy = st.lists(st.integers(1, 7), min_size=1, max_size=5)


def batch_of(lengths: tuple[int, ...], seed: int, *, gaps: bool = True, first: int = 0) -> Batch:
    """Utterances of four emotions, with ``gaps`` some without a label and some without audio."""
    features, speakers, layout = random_rows(lengths, seed)
    random = np.random.default_rng(seed)
    labels = random.integers(-1 if gaps else 0, 4, layout.utterances)
    there = torch.from_numpy(random.random(layout.utterances) < 0.8)
    return Batch(
        layout=layout,
        features={**features, "audio": features["audio"] * there[:, None]} if gaps else features,
        speakers=speakers,
        labels=torch.from_numpy(labels),
        positions=torch.arange(first, first + layout.utterances),
        dialogue_ids=tuple(map(str, range(len(lengths)))),
        present={"audio": there} if gaps else {},
    )


def in_order(batch: Batch, order: list[int]) -> Batch:
    """The dialogues of a batch in another order."""
    rows = torch.cat([(batch.layout.dialogue_of == dialogue).nonzero()[:, 0] for dialogue in order])
    return Batch(
        layout=Layout.of([batch.layout.lengths[dialogue] for dialogue in order]),
        features={m: x[rows] for m, x in batch.features.items()},
        speakers=batch.speakers[rows],
        labels=batch.labels[rows],
        positions=batch.positions[rows],
        dialogue_ids=tuple(batch.dialogue_ids[dialogue] for dialogue in order),
        present={m: mask[rows] for m, mask in batch.present.items()},
    )


def small_model(name: str, loss: LossConfig) -> DCLF:
    torch.manual_seed(2)
    return DCLF(INFO, MODALITIES, ModelConfig(name=name, options=dict(SMALL[name])), loss).double()


def context_term(model: DCLF, batch: Batch, pairs: WindowPairs, loss: LossConfig) -> Term:
    output = model(batch.features, batch.speakers, batch.layout, batch.present)
    return Objective(loss, MODALITIES).terms(model, output, batch, pairs)["ca"]


@given(lengths_strategy, st.integers(1, 9), st.integers(0, 99), st.integers(0, 9))
def test_labelled_utterances_give_way_to_others_of_their_emotion(
    lengths: list[int], window: int, seed: int, most: int
) -> None:
    batch = batch_of(tuple(lengths), seed, first=50)
    pairs = WindowSampler(window, seed, most).pairs(batch, epoch=1)
    dialogue, labels = batch.layout.dialogue_of, batch.labels
    own, foreign = pairs.rows.chunk(2)
    assert len(pairs.anchors) <= most
    assert (labels[pairs.anchors] >= 0).all()
    assert torch.equal(own[pairs.targets], pairs.anchors)
    assert torch.equal(pairs.slots, torch.cat([own, own]))
    for anchor, target, places, mask in zip(pairs.anchors, pairs.targets, pairs.index, pairs.mask, strict=True):
        length = min(window, int(batch.layout.time[anchor]))
        assert own[target - length : target + 1].tolist() == list(range(anchor - length, anchor + 1))
        assert foreign[target] == anchor
        assert mask.any()
        for p in range(1, length + 1):
            before, other = anchor - p, foreign[target - p]
            rivals = (labels == labels[before]) & (dialogue != dialogue[before]) & (labels >= 0)
            assert mask[p - 1] == bool(labels[before] >= 0 and rivals.any())
            assert rivals[other] if mask[p - 1] else other == before
            assert places[p - 1] == target - p
        assert not mask[length:].any()


def test_every_labelled_utterance_with_a_history_is_an_anchor_where_there_is_room() -> None:
    batch = batch_of(LENGTHS, 1, gaps=False)
    wanted = (batch.layout.time > 0).nonzero()[:, 0]
    assert torch.equal(WindowSampler(3, 0, 99).pairs(batch, 1).anchors, wanted)
    draws = {
        tuple(WindowSampler(3, seed, 4).pairs(batch, epoch).anchors.tolist()) for seed in (0, 1) for epoch in (1, 2)
    }
    assert len(draws) == 4


def test_replacements_are_equally_likely() -> None:
    batch = replace(batch_of((2, 4), 0, gaps=False), labels=torch.zeros(6, dtype=torch.int64))
    drawn = [int(WindowSampler(1, 0, 9).pairs(batch, epoch).rows.chunk(2)[1][0]) for epoch in range(2000)]
    assert np.bincount(drawn, minlength=6)[2:] == pytest.approx(500, abs=80)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(len(LENGTHS))), st.integers(0, 99))
def test_the_loss_does_not_depend_on_the_order_of_the_dialogues(order: list[int], seed: int) -> None:
    loss = LossConfig(window=3, ica_width=4, pairs="windows")
    batch, model = batch_of(LENGTHS, seed), small_model("mmgcn", loss).eval()
    here, there = (
        context_term(model, one, WindowSampler(3, 7, 6).pairs(one, 2), loss) for one in (batch, in_order(batch, order))
    )
    assert there.count == here.count > 0
    torch.testing.assert_close(there.total, here.total)


def windowed(model: DCLF, batch: Batch, rows: list[int], slots: list[int]) -> tuple[Tensor, Tensor]:
    """States of one dialogue of these utterances, and the context of its last."""
    output = model(
        {m: x[rows] for m, x in batch.features.items()},
        batch.speakers[slots],
        Layout.of([len(rows)]),
        {m: x[rows] for m, x in batch.present.items()},
    )
    return output.state, output.context[-1]


@pytest.mark.parametrize("denominator", ["negatives", "all", "khosla"])
@pytest.mark.parametrize("projection", ["none", "mlp"])
def test_the_loss_is_that_of_a_plain_loop(denominator: Denominator, projection: str) -> None:
    loss = LossConfig(window=3, ica_width=4, pairs="windows", denominator=denominator, projection=projection)  # type: ignore[arg-type]
    batch, model = batch_of(LENGTHS, 4), small_model("dialogue_rnn", loss).eval()
    contrast, labels, dialogue = model.contrast, batch.labels.tolist(), batch.layout.dialogue_of.tolist()
    assert contrast is not None
    assert contrast.extract is not None
    pairs = WindowSampler(loss.window, 0, 8).pairs(batch, 1)
    output = model(batch.features, batch.speakers, batch.layout, batch.present)
    foreign = pairs.rows.tolist()[len(pairs.rows) // 2 :]
    losses = []
    for anchor in pairs.anchors.tolist():
        start = max(dialogue.index(dialogue[anchor]), anchor - loss.window)
        own = list(range(start, anchor + 1))
        other, foreign = foreign[: len(own)], foreign[len(own) :]
        scores: list[list[Tensor]] = []
        for rows in (own, other):
            states, context = windowed(model, batch, rows, own)
            extracted = [
                contrast.extract(torch.cat([context, states[p]])) for p in range(len(own)) if other[p] != own[p]
            ]
            q = contrast.project(output.state[anchor])
            cosines = [torch.cosine_similarity(q, contrast.project(g), dim=0) for g in extracted]
            scores.append([(cosine / loss.temperature).exp() for cosine in cosines])
        above, negative = torch.stack(scores[0]), torch.stack(scores[1]).sum()
        below = negative if denominator == "negatives" else negative + above.sum()
        ratio = above / below
        losses.append(-ratio.log().mean() if denominator == "khosla" else -ratio.mean().log())
        assert labels[anchor] >= 0
    term, expected = context_term(model, batch, pairs, loss), torch.stack(losses)
    assert term.count == len(losses)
    torch.testing.assert_close(term.total, expected.sum())
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(term.total, parameters, allow_unused=True)
    wanted = torch.autograd.grad(expected.sum(), parameters, allow_unused=True)
    torch.testing.assert_close(gradients, wanted)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_base_model_learns_from_its_windows(name: str) -> None:
    loss = LossConfig(window=3, ica_width=4, pairs="windows")
    batch, model = batch_of(LENGTHS, 5), small_model(name, loss).train()
    term = context_term(model, batch, WindowSampler(3, 0, 4).pairs(batch, 1), loss)
    term.total.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("lengths", [(4,), (1, 1)])
def test_a_batch_without_anchors_counts_nothing(lengths: tuple[int, ...]) -> None:
    loss = LossConfig(window=3, ica_width=4, pairs="windows")
    batch, model = batch_of(lengths, 0, gaps=False), small_model("mmgcn", loss)
    term = context_term(model, batch, WindowSampler(3, 0, 4).pairs(batch, 1), loss)
    assert term.total == term.count == 0
