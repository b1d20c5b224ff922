"""Small datasets for the tests of the data layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dclf.data import MODALITIES, SPLITS, DatasetInfo, Dialogue, write_shards

CLASSES = ("joy", "anger", "neutral")


def make_info(**changes: Any) -> DatasetInfo:
    facts: dict[str, Any] = {
        "dataset": "toy",
        "class_names": CLASSES,
        "widths": {"text": 5, "audio": 4, "visual": 3},
        "speaker_count": 2,
        "provenance": {"importer": "test", "seed": 3, "nested": {"ids": ["a", "ü"]}},
    }
    return DatasetInfo(**{**facts, **changes})


def make_dialogue(number: int = 0, split: str = "train", length: int = 4, **changes: Any) -> Dialogue:
    rng = np.random.default_rng(number)
    parts: dict[str, Any] = {
        "dialogue_id": f"d{number}",
        "split": split,
        "speakers": rng.integers(0, 2, length).astype(np.int32),
        "labels": rng.integers(0, len(CLASSES), length).astype(np.int32),
        "utterances": tuple(f"words {number} {i}" for i in range(length)),
        "features": {m: rng.normal(size=(length, w)).astype(np.float32) for m, w in make_info().widths.items()},
    }
    return Dialogue(**{**parts, **changes})


def make_dialogues(train: int = 5, val: int = 2, test: int = 3) -> list[Dialogue]:
    splits = ["train"] * train + ["val"] * val + ["test"] * test
    return [make_dialogue(number, split, 1 + number % 6) for number, split in enumerate(splits)]


def sparse_dialogues() -> list[Dialogue]:
    """``make_dialogues`` less three labels, one row of text and three of audio."""
    dialogues = make_dialogues()
    dialogues[2] = replace(dialogues[2], labels=np.full(3, -1, np.int32))
    dialogues[3] = without_rows(without_rows(dialogues[3], "audio", [0, 2]), "text", [1])
    dialogues[5] = without_rows(dialogues[5], "audio", [4])
    return dialogues


def without_rows(dialogue: Dialogue, modality: str, rows: Sequence[int]) -> Dialogue:
    matrix, mask = dialogue.features[modality].copy(), np.ones(len(dialogue), np.bool_)
    matrix[rows], mask[rows] = 0, False
    return replace(
        dialogue,
        features={**dialogue.features, modality: matrix},
        present={**dialogue.present, modality: mask},
    )


def assert_same(actual: Dialogue, expected: Dialogue, modalities: Sequence[str] = MODALITIES) -> None:
    assert (actual.dialogue_id, actual.split) == (expected.dialogue_id, expected.split)
    assert actual.utterances == expected.utterances
    assert actual.speakers.dtype == actual.labels.dtype == np.int32
    np.testing.assert_array_equal(actual.speakers, expected.speakers)
    np.testing.assert_array_equal(actual.labels, expected.labels)
    assert (actual.sentiments is None) == (expected.sentiments is None)
    if actual.sentiments is not None:
        assert actual.sentiments.dtype == np.int32
        np.testing.assert_array_equal(actual.sentiments, expected.sentiments)
    assert list(actual.features) == [m for m in MODALITIES if m in modalities and m in expected.features]
    for modality, matrix in actual.features.items():
        assert matrix.dtype == np.float32
        np.testing.assert_array_equal(matrix, expected.features[modality])
        everywhere = np.ones(len(expected), np.bool_)
        np.testing.assert_array_equal(
            actual.present.get(modality, everywhere), expected.present.get(modality, everywhere)
        )


@st.composite
def datasets(draw: st.DrawFn) -> tuple[DatasetInfo, list[Dialogue]]:
    """Any sound dataset: 1 to 3 modalities, interleaved splits, with or without transcripts, labels and rows."""
    present = draw(st.sets(st.sampled_from(MODALITIES), min_size=1))
    info = make_info(
        widths={m: draw(st.integers(1, 6)) for m in MODALITIES if m in present},
        speaker_count=draw(st.integers(1, 9)),
        sentiment_names=draw(st.sampled_from([(), ("negative", "positive")])),
    )
    ids = draw(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=6))
    return info, [draw(_dialogues(info, name)) for name in ids]


@st.composite
def _dialogues(draw: st.DrawFn, info: DatasetInfo, name: str) -> Dialogue:
    length = draw(st.integers(1, 7))
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)

    def indices(limit: int, least: int = 0) -> Any:
        return draw(hnp.arrays(np.int32, length, elements=st.integers(least, limit - 1)))

    partial = draw(st.sets(st.sampled_from(list(info.widths))))
    present = {m: draw(hnp.arrays(np.bool_, length)) for m in info.widths if m in partial}
    features = {m: draw(hnp.arrays(np.float32, (length, w), elements=numbers)) for m, w in info.widths.items()}
    for modality, rows in present.items():
        features[modality][~rows] = 0
    limit = len(info.sentiment_names)

    return Dialogue(
        dialogue_id=name,
        split=draw(st.sampled_from(SPLITS)),
        speakers=indices(info.speaker_count),
        labels=indices(len(info.class_names), -1),
        utterances=tuple(draw(st.one_of(st.just([]), st.lists(st.text(), min_size=length, max_size=length)))),
        features=features,
        sentiments=indices(limit, -1) if limit and draw(st.booleans()) else None,
        present=present,
    )


def write_unchecked(
    monkeypatch: pytest.MonkeyPatch, dialogues: Iterable[Dialogue], folder: Path, info: DatasetInfo
) -> None:
    """Shards with broken dialogues, as another program could have written them."""
    with monkeypatch.context() as patch:
        patch.setattr("dclf.data.writer.validate_dialogue", lambda *_: [])
        patch.setattr("dclf.data.writer.repeated_id", lambda *_: [])
        write_shards(dialogues, folder, info)
