"""Missing and noisy modalities: masks by definition, what is hit and what is not."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclf.data import generate
from dclf.data.statistics import FeatureMoments, Standardiser
from dclf.perturb import SHARES, Conversations, Corruption, corruptions, score_corrupted, score_raw
from dclf.perturb.corruption import utterance_mask
from tests.dclf.perturb.support import CopiesTheLast, Judge, conversations, emotion_lists

MOMENTS = FeatureMoments(mean={"text": np.array([1.0, 2.0, 0.5, -3.0])}, std={"text": np.array([0.5, 2.0, 1.0, 1.0])})
damages = st.sampled_from(["missing", "noise"])
shares = st.floats(0, 1)
seeds = st.integers(0, 2**64 - 1)


@given(emotion_lists(least=2), damages, shares, seeds)
def test_damage_is_a_function_of_dialogue_and_position_alone(
    emotions: list[list[int]], damage: Literal["missing", "noise"], share: float, seed: int
) -> None:
    corruption = Corruption(damage=damage, modalities=("text",), share=share, seed=seed)
    whole = corruption.apply(conversations("t", emotions), MOMENTS).features["text"]
    some = conversations("t", emotions[:-1])
    np.testing.assert_array_equal(corruption.apply(some, MOMENTS).features["text"], whole[: len(some.labels)])


@given(emotion_lists(), damages, shares, seeds)
def test_what_is_not_hit_keeps_its_bits(
    emotions: list[list[int]], damage: Literal["missing", "noise"], share: float, seed: int
) -> None:
    targets = conversations("t", emotions)
    before = targets.features["text"].copy()
    damaged = Corruption(damage=damage, modalities=("text",), share=share, seed=seed).apply(targets, MOMENTS)
    hit = utterance_mask(targets, "text", share, seed)
    np.testing.assert_array_equal(targets.features["text"], before)
    np.testing.assert_array_equal(damaged.features["text"][~hit], before[~hit])
    assert (damaged.features["text"][hit] != before[hit]).any(axis=1).all()
    assert damaged.features["text"].dtype == np.float32


def test_masks_are_nested_and_as_dense_as_asked() -> None:
    info, dialogues = generate("meld", dialogues=300, seed=0)
    targets = Conversations.of(dialogues, info.modalities)
    previous = np.zeros(len(targets.labels), dtype=np.bool_)
    for share in SHARES:
        mask = utterance_mask(targets, "audio", share, seed=3)
        assert mask[previous].all()
        # Four deviations of a binomial share.
        assert abs(mask.mean() - share) < 4 * np.sqrt(share * (1 - share) / len(mask))
        previous = mask
    half = utterance_mask(targets, "audio", 0.5, seed=3)
    for other in (utterance_mask(targets, "text", 0.5, seed=3), utterance_mask(targets, "audio", 0.5, seed=4)):
        assert abs(np.mean(half == other) - 0.5) < 0.06
    assert not utterance_mask(targets, "audio", 0.0, seed=3).any()
    assert utterance_mask(targets, "audio", 1.0, seed=3).all()


def test_a_missing_modality_is_zero_to_the_model() -> None:
    import torch  # noqa: PLC0415 - this test alone needs it

    targets = conversations("t", [[0, 1, 2]])
    lost = Corruption(damage="missing", modalities=("text",), share=1.0).apply(targets, MOMENTS)
    features = Standardiser.of(MOMENTS)({"text": torch.from_numpy(lost.features["text"])})
    assert not features["text"].any()


def test_noise_has_the_training_deviation() -> None:
    targets = conversations("t", [[0, 1, 2] * 1000])
    noisy = Corruption(damage="noise", modalities=("text",), share=1.0, strength=2.0).apply(targets, MOMENTS)
    added = noisy.features["text"] - targets.features["text"]
    np.testing.assert_allclose(added.std(axis=0), 2 * MOMENTS.std["text"], rtol=0.06)
    np.testing.assert_allclose(added.mean(axis=0), 0, atol=0.3)


def test_scores_and_conditions() -> None:
    targets, judge = conversations("t", [[0] * 30, [2] * 30]), Judge(CopiesTheLast())
    none, most = (
        score_corrupted(judge, targets, Corruption(damage="missing", modalities=("text",), share=share), MOMENTS)
        for share in (0.0, 0.9)
    )
    assert none.scores == score_raw(judge, targets).scores
    assert most.scores["wf1"] < 0.5
    assert most.condition == {"kind": "missing", "modalities": "text", "share": 0.9, "seed": 0}


def test_the_suite_is_every_share_of_every_modality() -> None:
    suite = corruptions(("text", "audio"), seed=2)
    assert len({(c.damage, c.modalities, c.share) for c in suite}) == 2 * 2 * 9
    assert {c.share for c in suite} == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}
    assert {c.seed for c in suite} == {2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"damage": "lost"}, "damage must be one of missing, noise"),
        ({"modalities": ()}, "modalities must be some of"),
        ({"modalities": ("smell",)}, "modalities must be some of"),
        ({"share": 1.5}, r"share must lie in 0 \.\. 1, is 1\.5"),
        ({"strength": -1.0}, "strength must be"),
    ],
)
def test_impossible_damage_is_refused(changes: dict[str, object], message: str) -> None:
    facts: dict[str, object] = {"damage": "noise", "modalities": ("text",), "share": 0.5, **changes}
    with pytest.raises(ValueError, match=message):
        Corruption(**facts)  # type: ignore[arg-type]


def test_a_modality_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="lack audio"):
        Corruption(damage="missing", modalities=("audio",), share=0.5).apply(conversations("t", [[0]]), MOMENTS)
