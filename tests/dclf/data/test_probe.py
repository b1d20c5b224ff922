"""The linear probe: its arithmetic, what it calls a leak, and what it leaves beside the shards."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dclf.data import DataError, DatasetInfo, Dialogue, feature_card, probe_shards, write_probe, write_shards
from dclf.data.importers import import_meld_csv
from dclf.data.manifest import read_manifest
from dclf.data.probe import ModalityProbe, ProbeReport, _Accuracy, _compare, _Rows, read_probe
from tests.real_data import real_data

INFO = DatasetInfo(dataset="toy", class_names=("calm", "glad", "sad"), widths={"text": 6}, speaker_count=2)
LENGTH = 8


def dialogues(
    seed: int, train: int = 40, others: int = 20, leak: dict[str, float] | None = None, spread: float = 1.0
) -> list[Dialogue]:
    """Features that tell a little of the emotion, and in some splits more than that."""
    rng = np.random.default_rng(seed)
    result = []
    for split, count in (("train", train), ("val", others), ("test", others)):
        for number in range(count):
            labels = rng.choice(3, size=LENGTH, p=(0.5, 0.3, 0.2)).astype(np.int32)
            features = rng.normal(size=(LENGTH, 6))
            features[np.arange(LENGTH), labels] += spread + (leak or {}).get(split, 0.0)
            features += rng.normal(scale=0.3, size=6)  # every dialogue has a voice of its own
            result.append(
                Dialogue(
                    dialogue_id=f"{split}-{number}",
                    split=split,
                    speakers=(np.arange(LENGTH) % 2).astype(np.int32),
                    labels=labels,
                    features={"text": features.astype(np.float32)},
                )
            )
    return result


def probe_of(folder: Path, seed: int, **options: object) -> ModalityProbe:
    write_shards(dialogues(seed, **options), folder, INFO)  # type: ignore[arg-type]
    (probe,) = probe_shards(folder, seed=seed).modalities
    return probe


@pytest.mark.parametrize("seed", range(8))
def test_honest_features_are_not_suspected(seed: int, tmp_path: Path) -> None:
    probe = probe_of(tmp_path / "set", seed)
    assert probe.suspicious == ()
    assert probe.warnings == []
    assert all(0.4 < score < 0.95 for score in probe.wf1.values())


@pytest.mark.parametrize("split", ["val", "test"])
def test_features_made_with_a_split_s_labels_are_suspected(split: str, tmp_path: Path) -> None:
    probe = probe_of(tmp_path / "set", 1, leak={split: 1.0})
    assert probe.suspicious == (split,)
    (warning,) = probe.warnings
    assert f"these features have probably seen labels of {split}: scores on it do not count" in warning


def test_an_encoder_fitted_to_train_alone_is_not_suspected(tmp_path: Path) -> None:
    assert probe_of(tmp_path / "set", 2, leak={"train": 1.0}).suspicious == ()


def test_labels_that_only_test_rows_show_are_suspected(tmp_path: Path) -> None:
    """Of a probe that is trained on train they are hidden."""
    samples = [
        replace(one, features={"text": np.column_stack([one.features["text"], hint(one)]).astype(np.float32)})
        for one in dialogues(5)
    ]
    write_shards(samples, tmp_path / "set", replace(INFO, widths={"text": 7}))
    (probe,) = probe_shards(tmp_path / "set").modalities
    assert probe.suspicious == ("test",)


def hint(dialogue: Dialogue) -> NDArray[np.float64]:
    return dialogue.labels - 1.0 if dialogue.split == "test" else np.zeros(len(dialogue))


@pytest.fixture(scope="module")
def meld() -> tuple[DatasetInfo, list[Dialogue]]:
    folder = real_data("meld")
    info, stream = import_meld_csv(folder, text=f"{folder}/{{split}}_minilm.npy")
    return info, list(stream)


@pytest.mark.slow
@pytest.mark.meld
@pytest.mark.parametrize("seed", range(3))
def test_rows_of_an_encoder_that_knows_no_emotion_are_not_suspected(
    seed: int, meld: tuple[DatasetInfo, list[Dialogue]], tmp_path: Path
) -> None:
    write_shards(meld[1], tmp_path / "set", meld[0])
    assert probe_shards(tmp_path / "set", seed=seed).modalities[0].suspicious == ()


@pytest.mark.slow
@pytest.mark.meld
def test_the_same_rows_are_suspected_once_test_labels_are_mixed_in(
    meld: tuple[DatasetInfo, list[Dialogue]], tmp_path: Path
) -> None:
    """Rows of test are moved half the way that their emotion's rows of train lie from the others."""
    info, honest = meld
    labels = np.concatenate([one.labels for one in honest if one.split == "train"])
    rows = np.concatenate([one.features["text"] for one in honest if one.split == "train"])
    way = np.array([rows[labels == label].mean(axis=0) for label in range(len(info.class_names))]) - rows.mean(axis=0)

    def moved(one: Dialogue) -> Dialogue:
        return replace(one, features={"text": one.features["text"] + 0.5 * way[one.labels]})

    write_shards((moved(one) if one.split == "test" else one for one in honest), tmp_path / "set", info)
    assert probe_shards(tmp_path / "set").modalities[0].suspicious == ("test",)


@given(seed=st.integers(0, 1000), classes=st.integers(2, 4), count=st.integers(2, 30))
def test_accuracy_with_other_proportions_is_that_of_a_plain_loop(seed: int, classes: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    labels, places = rng.integers(0, classes, count), np.sort(rng.integers(0, 4, count))
    correct, mix = rng.random(count), rng.random(classes) + 0.1
    accuracy = _Accuracy.of(_Rows(np.zeros((count, 1), np.float32), labels, places), correct)
    total, weight = 0.0, 0.0
    for label in range(classes):
        own = [share for share, each in zip(correct, labels, strict=True) if each == label]
        if own:
            total += mix[label] * sum(own) / len(own)
            weight += mix[label]
    assert accuracy.with_mix(mix)[0] == pytest.approx(total / weight, abs=1e-12)


def test_other_proportions_of_emotions_are_no_excess() -> None:
    """A probe that is right on one class alone is as accurate in a split that has more of it."""
    labels = np.array([0] * 40 + [1] * 10), np.array([0] * 10 + [1] * 40)
    sides = [
        _Accuracy.of(_Rows(np.zeros((50, 1), np.float32), each, np.arange(50) // 5), (each == 0).astype(float))
        for each in labels
    ]
    excess, p = excess_and_p(sides[0], sides[1])
    assert excess == pytest.approx(0.0)
    assert p == pytest.approx(0.5, abs=0.5)


def test_what_cannot_be_probed_is_told_at_once(tmp_path: Path) -> None:
    write_shards(dialogues(0, train=3, others=1), tmp_path / "set", INFO)
    with pytest.raises(DataError) as error:
        probe_shards(tmp_path / "set")
    assert [problem.split()[1] for problem in error.value.problems] == ["train", "val", "test"]


def relabelled(seed: int, split: str, rare: int | None = None, **options: int) -> list[Dialogue]:
    """Dialogues of which one split has an emotion of its own alone, but for as many as ``rare``."""
    own = [one for one in dialogues(seed, **options) if one.split == split]
    numbers = {one.dialogue_id: place for place, one in enumerate(own)}

    def changed(one: Dialogue) -> Dialogue:
        if one.split != split:
            return replace(one, labels=np.minimum(one.labels, 1).astype(np.int32))
        labels = np.full(LENGTH, 2, np.int32)
        if rare is not None and numbers[one.dialogue_id] < rare:
            labels[0] = 0
        return replace(one, labels=labels)

    return [changed(one) for one in dialogues(seed, **options)]


@pytest.mark.parametrize("rare", [None, 1])
def test_splits_that_share_no_emotion_cannot_be_compared(rare: int | None, tmp_path: Path) -> None:
    write_shards(relabelled(0, "test", rare), tmp_path / "set", INFO)
    report = probe_shards(tmp_path / "set")
    (probe,) = report.modalities
    assert (probe.excess["test"], probe.p["test"]) == (None, None)
    assert probe.p["val"] is not None
    assert list(report.table())[1][-1] == "cannot be compared"
    assert report.warnings == []
    write_probe(tmp_path / "set", report)
    assert read_probe(tmp_path / "set", report.sha256) == report
    json.dumps(report.to_dict(), allow_nan=False)


def test_resamples_without_a_shared_emotion_do_not_hide_a_leak() -> None:
    """Two of six dialogues alone have the emotion that both splits have, so that many draws have none of it."""
    places = np.repeat(np.arange(6), 8)
    other = np.where(places < 2, 0, 1)
    rows = _Rows(np.zeros((48, 1), np.float32), other, places), _Rows(np.zeros((48, 1), np.float32), 0 * places, places)
    right, wrong = (np.where(np.arange(48) % 8 < count, 1.0, 0.0) for count in (8, 0))
    right[places == 1] = (np.arange(8) > 0).astype(float)
    compared = _compare(_Accuracy.of(rows[0], right), _Accuracy.of(rows[1], wrong), seed=0)
    assert compared is not None
    excess, p = compared
    assert excess == pytest.approx(15 / 16)
    assert p < 1e-6


def test_a_fold_that_takes_an_emotion_away_is_told(tmp_path: Path) -> None:
    changed = [
        replace(one, labels=np.full(LENGTH, int(one.dialogue_id == "train-0"), np.int32))
        if one.split == "train"
        else one
        for one in dialogues(0)
    ]
    write_shards(changed, tmp_path / "set", INFO)
    with pytest.raises(DataError, match=r"two emotions in the dialogues beside each fold .*: import more dialogues"):
        probe_shards(tmp_path / "set")


def test_the_card_shows_a_probe_of_these_very_shards(tmp_path: Path) -> None:
    write_shards(dialogues(3, leak={"test": 1.0}), tmp_path / "set", INFO)
    assert "`dclf data probe` says" in feature_card(tmp_path / "set").to_markdown()
    report = probe_shards(tmp_path / "set")
    write_probe(tmp_path / "set", report)
    sha256 = read_manifest(tmp_path / "set").sha256
    assert read_probe(tmp_path / "set", sha256) == report == ProbeReport.from_dict(report.to_dict())
    card = feature_card(tmp_path / "set")
    assert card.probe == report
    assert card.warnings == report.warnings
    assert "| text | " in card.to_markdown()
    assert read_probe(tmp_path / "set", "another") is None
    write_shards(dialogues(4), tmp_path / "set", INFO, overwrite=True)
    assert not (tmp_path / "set" / "probe.json").exists()


def test_the_p_of_a_hopeless_excess_is_small_and_of_none_a_half() -> None:
    rng = np.random.default_rng(0)
    labels, places = rng.integers(0, 2, 400), np.arange(400) // 10
    rows = _Rows(np.zeros((400, 1), np.float32), labels, places)
    low, high = (_Accuracy.of(rows, (rng.random(400) < share).astype(float)) for share in (0.5, 0.9))
    assert excess_and_p(high, low)[1] < 1e-6
    assert excess_and_p(low, low) == (0.0, pytest.approx(0.5))
    assert not math.isnan(excess_and_p(low, high)[1])


def excess_and_p(other: _Accuracy, train: _Accuracy) -> tuple[float, float]:
    compared = _compare(other, train, seed=0)
    assert compared is not None
    return compared
