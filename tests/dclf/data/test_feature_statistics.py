"""Running sums against NumPy over everything at once, alone and merged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.data import Dialogue
from dclf.data.statistics import FeatureStatistics, Standardiser
from tests.dclf.data.support import make_dialogue, make_info

WIDTHS = make_info().widths


def stacked(dialogues: list[Dialogue], modality: str) -> np.ndarray:
    return np.concatenate([d.features[modality] for d in dialogues]).astype(np.float64)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 12))
def test_sums_of_workers_add_up_to_the_whole(lengths: list[int], cut: int) -> None:
    dialogues = [make_dialogue(n, length=length) for n, length in enumerate(lengths)]
    merged = FeatureStatistics.over(dialogues[:cut], WIDTHS)
    merged.merge(FeatureStatistics.over(dialogues[cut:], WIDTHS))
    moments = merged.finalise()
    for modality in WIDTHS:
        rows = stacked(dialogues, modality)
        np.testing.assert_allclose(moments.mean[modality], rows.mean(axis=0), rtol=1e-12, atol=1e-12)
        expected = np.where(rows.std(axis=0) == 0, 1, rows.std(axis=0))
        np.testing.assert_allclose(moments.std[modality], expected, rtol=1e-9)


def test_arrays_can_be_added_outside_as_an_all_reduce_does() -> None:
    dialogues = [make_dialogue(n) for n in range(6)]
    parts = [FeatureStatistics.over(dialogues[:2], WIDTHS), FeatureStatistics.over(dialogues[2:], WIDTHS)]
    for name, others in parts[1].sums.items():
        parts[0].sums[name] += others
    whole = FeatureStatistics.over(dialogues, WIDTHS).finalise()
    for modality in WIDTHS:
        np.testing.assert_allclose(parts[0].finalise().std[modality], whole.std[modality], rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 3.0, 1e4, -7.7e8])
def test_constant_columns_get_deviation_one(value: float) -> None:
    features = {"text": np.full((1000, 2), value, np.float32)}
    moments = FeatureStatistics.over([make_dialogue(features=features, labels=np.zeros(1000))], {"text": 2}).finalise()
    np.testing.assert_array_equal(moments.std["text"], [1, 1])
    np.testing.assert_allclose(moments.mean["text"], np.float64(np.float32(value)))


@pytest.mark.parametrize(("mean", "deviation"), [(1e5, 1.0), (1.7e9, 1500.0)])
def test_columns_far_from_zero_keep_their_deviation(mean: float, deviation: float) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(mean, deviation, size=(500, 1)).astype(np.float32)
    dialogue = make_dialogue(features={"text": rows}, labels=np.zeros(500))
    std = FeatureStatistics.over([dialogue], {"text": 1}).finalise().std["text"]
    np.testing.assert_allclose(std, rows.astype(np.float64).std(axis=0), rtol=1e-3)


def test_other_widths_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="same modalities and widths"):
        FeatureStatistics({"text": 2}).merge(FeatureStatistics({"text": 1}))


def test_missing_rows_are_in_no_sum() -> None:
    random = np.random.default_rng(4)
    dialogues = [make_dialogue(n, length=5) for n in range(4)]
    masks = [{m: random.random(5) < 0.6 for m in ("text", "visual")} for _ in dialogues]
    partial = [replace(d, present=mask) for d, mask in zip(dialogues, masks, strict=True)]
    merged = FeatureStatistics.over(partial[:1], WIDTHS)
    merged.merge(FeatureStatistics.over(partial[1:], WIDTHS))
    moments = merged.finalise()
    for modality in WIDTHS:
        rows = stacked(partial, modality)
        if modality != "audio":
            rows = rows[np.concatenate([mask[modality] for mask in masks])]
        np.testing.assert_allclose(moments.mean[modality], rows.mean(axis=0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(moments.std[modality], rows.std(axis=0), rtol=1e-9)


def test_nothing_seen_of_a_modality_is_an_error() -> None:
    bare = make_dialogue(0, present={"audio": np.zeros(4, np.bool_)})
    with pytest.raises(ValueError, match=r"every training utterance lacks audio features: leave the modality out of"):
        FeatureStatistics.over([bare], WIDTHS).finalise()


def test_nothing_seen_is_an_error() -> None:
    with pytest.raises(ValueError, match="no training utterance was seen"):
        FeatureStatistics(WIDTHS).finalise()


def test_standardised_training_rows_have_mean_zero_and_deviation_one() -> None:
    dialogues = [make_dialogue(n, length=9) for n in range(5)]
    standardiser = Standardiser.of(FeatureStatistics.over(dialogues, WIDTHS).finalise())
    raw = {m: torch.from_numpy(stacked(dialogues, m)).float() for m in WIDTHS}
    for rows in standardiser(raw).values():
        torch.testing.assert_close(rows.mean(0), torch.zeros(rows.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(rows.std(0, correction=0), torch.ones(rows.shape[1]))


def test_a_standardiser_lives_in_the_checkpoint() -> None:
    dialogues = [make_dialogue(n) for n in range(5)]
    widths = {"audio": WIDTHS["audio"], "text": WIDTHS["text"]}
    trained = Standardiser.of(FeatureStatistics.over(dialogues, widths).finalise())
    restored = Standardiser(widths)
    rows = {m: torch.randn(3, WIDTHS[m]) for m in WIDTHS}
    torch.testing.assert_close(restored(rows), {m: rows[m] for m in ("audio", "text")})
    restored.load_state_dict(trained.state_dict())
    torch.testing.assert_close(restored(rows), trained(rows))
    assert all(not parameter.requires_grad for parameter in trained.state_dict().values())


def test_a_zero_row_and_a_constant_column_stay_finite() -> None:
    features = {"text": np.zeros((4, 3), np.float32)}
    moments = FeatureStatistics.over([make_dialogue(features=features)], {"text": 3}).finalise()
    assert torch.isfinite(Standardiser.of(moments)({"text": torch.zeros(2, 3)})["text"]).all()
