from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from dclf.data import DatasetInfo, Dialogue, emotion_shifts, feature_card, generate, validate_shards, write_shards

from .support import assert_same


@pytest.fixture(scope="module")
def iemocap() -> tuple[DatasetInfo, list[Dialogue]]:
    info, dialogues = generate("iemocap", seed=0)
    return info, list(dialogues)


def test_sizes_are_those_of_table_2(iemocap: tuple[DatasetInfo, list[Dialogue]]) -> None:
    info, dialogues = iemocap
    sizes = {s: [len(d) for d in dialogues if d.split == s] for s in ("train", "val", "test")}
    assert {split: len(lengths) for split, lengths in sizes.items()} == {"train": 100, "val": 20, "test": 31}
    assert np.mean([n for lengths in sizes.values() for n in lengths]) == pytest.approx(49.2, rel=0.05)
    assert dict(info.widths) == {"text": 100, "audio": 1582, "visual": 342}
    assert info.dataset == "generated-iemocap"


def test_speakers_keep_their_own_emotion_most_often(iemocap: tuple[DatasetInfo, list[Dialogue]]) -> None:
    own, other, steps = 0, 0, 0
    for dialogue in iemocap[1]:
        last: dict[int, int] = {}
        for speaker, label in zip(dialogue.speakers.tolist(), dialogue.labels.tolist(), strict=True):
            rest = [emotion for who, emotion in last.items() if who != speaker]
            if speaker in last and rest and last[speaker] != rest[-1]:
                steps += 1
                own += label == last[speaker]
                other += label == rest[-1]
            last[speaker] = label
    # Planted: own 0.68 and other 0.14, each plus its share of the 0.18 drawn from a prior over six emotions.
    assert 0.66 < own / steps < 0.76
    assert 0.12 < other / steps < 0.22


def test_a_model_without_context_is_well_below_what_context_gives(
    iemocap: tuple[DatasetInfo, list[Dialogue]],
) -> None:
    def flat(split: str) -> tuple[np.ndarray, np.ndarray]:
        dialogues = [d for d in iemocap[1] if d.split == split]
        rows = [np.concatenate([d.features[m] for m in iemocap[0].modalities], axis=1) for d in dialogues]
        return np.concatenate(rows)[:, ::4], np.concatenate([d.labels for d in dialogues])

    (x, y), (tx, ty) = flat("train"), flat("test")
    model = LogisticRegression(max_iter=60, C=0.01, tol=0.01).fit((x - x.mean(0)) / x.std(0), y)
    wf1 = f1_score(ty, model.predict((tx - x.mean(0)) / x.std(0)), average="weighted")
    assert 0.35 < wf1 < 0.78


def test_a_seed_repeats_and_a_prefix_is_stable() -> None:
    first = list(generate("meld-small", seed=4)[1])
    for one, two in zip(first, generate("meld-small", seed=4)[1], strict=True):
        assert_same(two, one)
    other = next(iter(generate("meld-small", seed=5)[1]))
    assert not np.array_equal(other.features["text"][:1], first[0].features["text"][:1])


@pytest.mark.parametrize("preset", ["iemocap-small", "meld-small", "iemocap-shifted-small"])
def test_small_presets_are_sound(preset: str, tmp_path: Path) -> None:
    info, dialogues = generate(preset, seed=1)
    write_shards(dialogues, tmp_path / "out", info)
    assert validate_shards(tmp_path / "out").problems == ()
    card = feature_card(tmp_path / "out")
    assert all(split.dialogues > 0 for split in card.splits.values())
    assert preset in card.to_markdown()


@pytest.mark.parametrize(("wish", "words"), [(("klingon", None), "klingon"), (("iemocap", 2), "dialogues")])
def test_impossible_wishes_are_named(wish: tuple[str, int | None], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        generate(*wish)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_to_keep_is_one(share: float) -> None:
    with pytest.raises(ValueError, match="test_keep must be a share from 0 to 1, is "):
        generate("iemocap-small", test_keep=share)


def test_what_is_planted_is_recorded() -> None:
    planted = generate("iemocap-small", test_keep=0.2)[0].provenance["planted"]
    assert isinstance(planted, dict)
    assert (planted["keep"], planted["test_keep"]) == (0.68, 0.2)
    assert "reply" not in planted
    shifted = generate("iemocap-shifted-small")[0].provenance["planted"]
    assert isinstance(shifted, dict)
    assert (shifted["keep"], shifted["reply"], shifted["test_keep"]) == (0.5, 0.25, 0.15)
    assert "test_keep" not in str(generate("iemocap-small")[0].provenance)


def test_shifts_compare_with_the_same_speakers_previous_utterance() -> None:
    labels, speakers = [0, 1, 0, 2, 1, 1], [0, 1, 0, 0, 1, 2]
    assert emotion_shifts(labels, speakers).tolist() == [False, False, False, True, False, False]
