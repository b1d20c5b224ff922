"""Scores under substitution: models whose answers are known, the batches they get, and the real base models."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.config import Config, DataConfig, LossConfig, ModelConfig
from dclf.data import DataError, Dialogue, generate
from dclf.inference import Predictor
from dclf.models.framework import DCLF
from dclf.perturb import (
    KINDS,
    Conversations,
    Kind,
    own_context,
    perturbation_test,
    score_raw,
    score_substituted,
    substitute_context,
)
from dclf.perturb.batches import perturbed_batches, whole_batches
from dclf.perturb.substitutions import OWN
from tests.dclf.perturb.support import (
    INFO,
    POOL,
    CopiesTheLast,
    Judge,
    TargetOnly,
    conversations,
    emotion_lists,
    sparse_lists,
)

kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**32)
sizes = st.integers(1, 40)


@settings(max_examples=40)
@given(emotion_lists(), kinds, seeds, sizes)
def test_who_looks_at_the_target_alone_is_not_perturbed(
    emotions: list[list[int]], kind: Kind, seed: int, rows: int
) -> None:
    targets, pool, judge = conversations("t", emotions), conversations("p", POOL), Judge(TargetOnly())
    raw = score_raw(judge, targets, rows=rows)
    perturbed = score_substituted(judge, targets, pool, substitute_context(targets, pool, kind, seed=seed), rows=rows)
    np.testing.assert_array_equal(perturbed.predictions, raw.predictions)
    assert perturbed.scores == raw.scores


@settings(max_examples=40)
@given(emotion_lists(), seeds, sizes)
def test_who_copies_the_last_emotion_is_broken_by_other_emotions_only(
    emotions: list[list[int]], seed: int, rows: int
) -> None:
    targets, pool, judge = conversations("t", emotions), conversations("p", POOL), Judge(CopiesTheLast())
    raw = score_raw(judge, targets, rows=rows)
    assert raw.predictions.tolist() == [e for labels in emotions for e in (0, *labels[:-1])]
    eccs, eics = (
        score_substituted(judge, targets, pool, substitute_context(targets, pool, kind, seed=seed), rows=rows)
        for kind in KINDS
    )
    assert eccs.scores == raw.scores
    np.testing.assert_array_equal(eccs.predictions, raw.predictions)
    first = targets.time == 0
    np.testing.assert_array_equal(eics.predictions[first], raw.predictions[first])
    assert (eics.predictions != raw.predictions)[~first].all()


def test_replicated_labels_lose_their_score() -> None:
    targets, pool = conversations("t", [[0] * 9, [2] * 8, [1] * 7]), conversations("p", POOL)
    raw, eccs, eics = perturbation_test(Judge(CopiesTheLast()), targets, pool)
    assert [outcome.condition["kind"] for outcome in (raw, eccs, eics)] == ["raw", "eccs", "eics"]
    assert raw.scores["wf1"] == eccs.scores["wf1"] > 0.9
    assert eics.scores["wf1"] < 0.1


@settings(max_examples=40)
@given(emotion_lists(), kinds, seeds, sizes)
def test_every_target_ends_a_dialogue_of_its_own(emotions: list[list[int]], kind: Kind, seed: int, rows: int) -> None:
    targets, pool = conversations("t", emotions), conversations("p", POOL)
    drawn = substitute_context(targets, pool, kind, seed=seed)
    order: list[int] = []
    for part in perturbed_batches(targets, pool, drawn, rows):
        batch, lengths = part.batch, part.batch.layout.lengths
        assert batch.layout.utterances <= rows or len(lengths) == 1
        assert list(lengths) == sorted(lengths)
        text = np.split(batch.features["text"].numpy(), np.cumsum(lengths)[:-1])
        speakers = np.split(batch.speakers.numpy(), np.cumsum(lengths)[:-1])
        assert batch.features["text"].dtype == torch.float32
        for row, place, rows_of, voices in zip(part.rows, part.places, text, speakers, strict=True):
            number, time = targets.dialogue_of[row], int(targets.time[row])
            start = targets.offsets[number]
            context = drawn.context(targets.dialogue_ids[number], time)
            np.testing.assert_array_equal(rows_of[:-1], pool.features["text"][context])
            np.testing.assert_array_equal(rows_of[-1], targets.features["text"][row])
            np.testing.assert_array_equal(voices, targets.speakers[start : start + time + 1])
            assert batch.labels[place] == targets.labels[row]
        order += part.rows.tolist()
    assert sorted(order) == list(range(len(targets.labels)))


@settings(max_examples=40)
@given(emotion_lists(), sizes)
def test_whole_batches_hold_every_utterance_once(emotions: list[list[int]], rows: int) -> None:
    targets = conversations("t", emotions)
    parts = list(whole_batches(targets, rows))
    order = np.concatenate([part.rows for part in parts])
    assert sorted(order) == list(range(len(targets.labels)))
    features = np.concatenate([part.batch.features["text"].numpy() for part in parts])
    np.testing.assert_array_equal(features, targets.features["text"][order])


@settings(max_examples=40)
@given(emotion_lists(least=2), kinds, seeds)
def test_some_dialogues_of_a_stored_draw_score_as_in_the_whole(
    emotions: list[list[int]], kind: Kind, seed: int
) -> None:
    targets, pool, judge = conversations("t", emotions), conversations("p", POOL), Judge(CopiesTheLast())
    drawn = substitute_context(targets, pool, kind, seed=seed)
    whole = score_substituted(judge, targets, pool, drawn)
    some = conversations("t", emotions[:-1])
    part = score_substituted(judge, some, pool, drawn)
    np.testing.assert_array_equal(part.predictions, whole.predictions[: len(some.labels)])


@given(sparse_lists(), kinds, seeds, sizes)
def test_labelled_targets_alone_are_scored_and_the_unlabelled_are_read(
    emotions: list[list[int]], kind: Kind, seed: int, rows: int
) -> None:
    targets, pool = conversations("t", [*emotions, [0, -1, 1]]), conversations("p", POOL)
    drawn, rows_with_label = substitute_context(targets, pool, kind, seed=seed), np.flatnonzero(targets.labels >= 0)
    order: list[int] = []
    for part in perturbed_batches(targets, pool, drawn, rows):
        text = np.split(part.batch.features["text"].numpy(), np.cumsum(part.batch.layout.lengths)[:-1])
        for row, rows_of in zip(part.rows, text, strict=True):
            time, start = int(targets.time[row]), row - int(targets.time[row])
            context = drawn.context(targets.dialogue_ids[targets.dialogue_of[row]], time)
            own = targets.features["text"][start : row + 1]
            expected = np.where((context == OWN)[:, None], own[:-1], pool.features["text"][context])
            np.testing.assert_array_equal(rows_of, [*expected, own[-1]])
        order += part.rows.tolist()
    assert sorted(order) == rows_with_label.tolist()
    raw = score_raw(Judge(TargetOnly()), targets, rows=rows)
    perturbed = score_substituted(Judge(TargetOnly()), targets, pool, drawn, rows=rows)
    np.testing.assert_array_equal(perturbed.predictions, raw.predictions)
    np.testing.assert_array_equal(raw.targets, targets.labels[rows_with_label])
    np.testing.assert_array_equal(raw.positions, targets.time[rows_with_label])
    assert raw.lengths.sum() == len(rows_with_label) == raw.to_table().num_rows
    assert raw.to_table()["position"].to_pylist()[-2:] == [0, 2]


@pytest.mark.parametrize(("of_targets", "of_pool"), [(True, True), (True, False), (False, True)])
def test_masks_go_where_the_rows_go(of_targets: bool, of_pool: bool) -> None:
    targets, pool = conversations("t", [[0, -1, 2, 1], [-1, 1]]), conversations("p", POOL)
    random = np.random.default_rng(6)
    masks = {name: random.random(len(part.labels)) < 0.5 for name, part in (("t", targets), ("p", pool))}
    # Where text is missing a fifth column says so, and the batches' masks have to agree with it.
    targets, pool = (
        replace(
            part,
            present={"text": masks[name]} if has_mask else {},
            features={"text": with_mask(part, masks[name], has_mask)},
        )
        for name, part, has_mask in (("t", targets, of_targets), ("p", pool, of_pool))
    )
    drawn = substitute_context(targets, pool, "eics", seed=1)
    for part in (*perturbed_batches(targets, pool, drawn, 7), *whole_batches(targets, 3)):
        text = part.batch.features["text"]
        mask = part.batch.present.get("text", torch.ones(len(text), dtype=torch.bool))
        np.testing.assert_array_equal(mask, text[:, 4] > 0)


def with_mask(part: Conversations, mask: np.ndarray, has_mask: bool) -> np.ndarray:
    column = mask if has_mask else np.ones_like(mask)
    return np.column_stack([part.features["text"], column]).astype(np.float32)


def test_results_per_utterance() -> None:
    targets, pool = conversations("t", [[0, 1, 1], [2]]), conversations("p", POOL)
    drawn = substitute_context(targets, pool, "eccs", seed=4, draw=2)
    outcome = score_substituted(Judge(CopiesTheLast()), targets, pool, drawn)
    rows = outcome.to_table().to_pylist()
    assert rows[2] == {
        "dialogue_id": "t0", "position": 2, "target": 1, "prediction": 1, "kind": "eccs", "seed": 4, "draw": 2,
    }  # fmt: skip
    assert [(row["dialogue_id"], row["position"]) for row in rows] == [("t0", 0), ("t0", 1), ("t0", 2), ("t1", 0)]


def test_draws_differ_and_are_numbered() -> None:
    targets, pool = conversations("t", [[0] * 9]), conversations("p", POOL)
    outcomes = list(perturbation_test(Judge(CopiesTheLast()), targets, pool, kinds=("eics",), seed=1, draws=3))
    assert [outcome.condition.get("draw") for outcome in outcomes] == [None, 0, 1, 2]
    assert len({tuple(outcome.predictions) for outcome in outcomes}) == 4


def test_what_does_not_fit_is_refused() -> None:
    targets, pool, judge = conversations("t", [[0, 1]]), conversations("p", POOL), Judge(TargetOnly())
    drawn = substitute_context(targets, pool, "eccs", seed=0)
    with pytest.raises(ValueError, match="the pool must be the one of the substitutions"):
        score_substituted(judge, targets, conversations("q", POOL), drawn)
    with pytest.raises(ValueError, match="dialogue t0 with 3 utterances, know 2"):
        score_substituted(judge, conversations("t", [[0, 1, 1]]), pool, drawn)
    with pytest.raises(ValueError, match="know no such dialogue"):
        score_substituted(judge, conversations("u", [[0, 1]]), pool, drawn)
    with pytest.raises(ValueError, match="rows must be at least 1"):
        score_raw(judge, targets, rows=0)
    with pytest.raises(ValueError, match="draws must be at least 1"):
        next(perturbation_test(judge, targets, pool, draws=0))
    with pytest.raises(ValueError, match="kinds must be some of"):
        next(perturbation_test(judge, targets, pool, kinds=("eecs",)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="text features must be 5 wide, are 4"):
        score_raw(Judge(TargetOnly(), replace(INFO, widths={"text": 5})), targets)
    with pytest.raises(DataError, match="speakers must be below 1"):
        score_raw(Judge(TargetOnly(), replace(INFO, speaker_count=1)), conversations("t", [[0] * 30]))


def real(name: str, causal: bool) -> tuple[Predictor, list[Dialogue]]:
    info, dialogues = generate("iemocap-small", dialogues=9, seed=1)
    options = {"mmgcn": {"hidden": 8, "node_width": 12}, "ddin": {}}[name]
    config = Config(
        data=DataConfig(shards="x", modalities=("text", "audio")),
        model=ModelConfig(name=name, causal=causal, options=options),
        loss=LossConfig(ica_width=4),
    )
    torch.manual_seed(2)
    model = DCLF(info, config.data.modalities, config.model, config.loss)
    return Predictor(config, info, model.state_dict()), list(dialogues)


def cut(dialogue: Dialogue, length: int) -> Dialogue:
    return replace(
        dialogue,
        speakers=dialogue.speakers[:length],
        labels=dialogue.labels[:length],
        utterances=dialogue.utterances[:length],
        features={m: matrix[:length] for m, matrix in dialogue.features.items()},
    )


@pytest.mark.parametrize(("name", "causal"), [("mmgcn", True), ("mmgcn", False), ("ddin", True)])
def test_real_models_see_the_dialogue_end_at_the_target(name: str, causal: bool) -> None:
    predictor, dialogues = real(name, causal)
    targets = Conversations.of(dialogues[-2:], ("text", "audio", "visual"))
    expected = [
        int(predictor.predict([cut(dialogue, n + 1)])[0][-1].argmax())
        for dialogue in dialogues[-2:]
        for n in range(len(dialogue))
    ]
    score = score_substituted(predictor, targets, targets, own_context(targets), rows=50)
    assert score.condition["kind"] == "cut"
    assert score.predictions.tolist() == expected
    raw = score_raw(predictor, targets)
    assert raw.predictions.tolist() == np.concatenate([p.argmax(1) for p in predictor.predict(dialogues[-2:])]).tolist()
    assert not causal or raw.predictions.tolist() == expected


def test_a_real_model_under_substitution() -> None:
    predictor, dialogues = real("mmgcn", True)
    targets, pool = (
        Conversations.of([d for d in dialogues if d.split == split], predictor.modalities)
        for split in ("test", "train")
    )
    drawn = substitute_context(targets, pool, "eics", seed=0)
    outcome = score_substituted(predictor, targets, pool, drawn, rows=64)
    number, time = len(targets) - 1, int(targets.lengths[-1]) - 1
    context = drawn.context(targets.dialogue_ids[number], time)
    source = next(d for d in dialogues if d.dialogue_id == targets.dialogue_ids[number])
    mixed = {m: np.concatenate([pool.features[m][context], source.features[m][-1:]]) for m in predictor.modalities}
    alone = predictor.predict([replace(source, features=mixed)])[0][-1]
    assert outcome.predictions[-1] == alone.argmax()
