"""Every rule of a dialogue: broken once, named once; and the rules over a whole shard set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.data import DataError, read_shards, validate_dialogue, validate_shards, write_shards
from dclf.data.reader import read_manifest
from tests.dclf.data.support import make_dialogue, make_dialogues, make_info, sparse_dialogues, write_unchecked


def features(**changes: Any) -> dict[str, Any]:
    return {**make_dialogue().features, **changes}


def matrix(width: int, *wrong: tuple[int, float], length: int = 4) -> np.ndarray[Any, Any]:
    values = np.ones((length, width), np.float32)
    for row, value in wrong:
        values[row, 0] = value
    return values


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no id": ({"dialogue_id": ""}, "the dialogue id must be a non-empty string"),
    "unknown split": ({"split": "dev"}, "split must be one of train, val, test, is 'dev'"),
    "too few speakers": ({"speakers": np.zeros(3, np.int32)}, "has 3 speakers for 4 labels"),
    "too few transcripts": ({"utterances": ("a",)}, "has 1 transcripts for 4 labels"),
    "too many rows": ({"features": features(audio=matrix(4, length=5))}, "has 5 rows of audio features for 4 labels"),
    "other width": ({"features": features(text=matrix(6))}, "text features are 6 wide, the dataset declares 5"),
    "label too large": ({"labels": np.array([0, 3, 1, 2])}, "label 3 at utterance 1 is out of range 0..2"),
    "label negative": (
        {"labels": np.array([0, 2, -1, -2])},
        "label -2 at utterance 3 is out of range 0..2 and not -1 for none",
    ),
    "speaker negative": ({"speakers": np.array([0, 1, -1, 1])}, "speaker -1 at utterance 2 is out of range 0..1"),
    "sentiment too large": (
        {"sentiments": np.array([-1, 0, 2, 1])},
        "sentiment 2 at utterance 2 is out of range 0..1 and not -1 for none; correct the sentiment or the dataset's",
    ),
    "too few sentiments": ({"sentiments": np.zeros(3, np.int32)}, "has 3 sentiments for 4 labels"),
    "present in words": ({"present": {"text": [True] * 4}}, "must say which text features are there as 4 truth values"),
    "too few present": ({"present": {"text": np.ones(3, bool)}}, "are there as 4 truth values, one per utterance"),
    "present without features": (
        {"present": {"smell": np.ones(4, bool)}},
        "says which smell features are missing, but has none of them",
    ),
    "missing and not zero": (
        {"present": {"text": np.array([True, False, True, False])}},
        "text features at utterances 1, 3 are said to be missing but are not zero",
    ),
    "labels of floats": ({"labels": np.zeros(4)}, "labels must be one row of integers, are float64"),
    "a label that is not whole": (
        {"labels": np.array([0.0, 1.0, 2.77, 1.0])},
        "are float64 of shape [4]: 2.77 at utterance 2 is no whole number",
    ),
    "a label that is missing": ({"labels": np.array([0.0, np.nan, 2.0, np.nan])}, "nan at utterances 1, 3 is no whole"),
    "labels of truth": (
        {"labels": np.array([True, False, True, True])},
        "labels must be one row of integers, are bool",
    ),
    "speakers that are not whole": ({"speakers": np.array([0.0, 0.5, 1, 1])}, "0.5 at utterance 1 is no whole number"),
    "speaker too large": ({"speakers": np.array([0, 2, 2, 1])}, "speaker 2 at utterances 1, 2 is out of range 0..1"),
    "not a number": (
        {"features": features(visual=matrix(3, (0, np.nan), (2, np.inf)))},
        "visual features hold NaN or infinity in float32 at utterances 0, 2",
    ),
    "beyond float32": (
        {"features": features(visual=matrix(3).astype(np.float64) * 1e300)},
        "visual features hold NaN or infinity in float32 at utterances 0, 1, 2, 3",
    ),
    "not a matrix": ({"features": features(text=np.ones(4))}, "text features must be a matrix of numbers [n, 5]"),
    "a modality too few": (
        {"features": {"text": matrix(5), "audio": matrix(4)}},
        "lacks visual features, which the dataset declares",
    ),
    "a modality too many": ({"features": features(smell=matrix(2))}, "carries smell features, which the dataset does"),
}


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_each_broken_rule_is_named_once(case: str) -> None:
    changes, words = BROKEN[case]
    dialogue = make_dialogue(**changes)
    (problem,) = validate_dialogue(dialogue, make_info(sentiment_names=("negative", "positive")))
    assert problem.startswith(f"dialogue {dialogue.dialogue_id!r}: ")
    assert words in problem


def test_a_dialogue_without_utterances_is_refused() -> None:
    nothing = np.zeros(0, np.int32)
    empty = {m: np.zeros((0, w), np.float32) for m, w in make_info().widths.items()}
    dialogue = make_dialogue(labels=nothing, speakers=nothing, utterances=(), features=empty)
    (problem,) = validate_dialogue(dialogue, make_info())
    assert "must have at least one utterance" in problem


def test_sound_dialogues_have_no_problems_not_even_of_one_utterance() -> None:
    for length in (1, 9):
        assert validate_dialogue(make_dialogue(length=length), make_info()) == []


def test_sentiments_that_the_dataset_does_not_name_are_refused() -> None:
    (problem,) = validate_dialogue(make_dialogue(sentiments=np.zeros(4, np.int32)), make_info())
    assert "has sentiments, whose names the dataset does not declare" in problem


def test_an_utterance_may_lack_label_sentiment_and_features() -> None:
    sparse = make_dialogue(
        labels=np.full(4, -1),
        sentiments=np.full(4, -1),
        features=features(audio=matrix(4) * 0),
        present={"audio": np.zeros(4, bool)},
    )
    assert validate_dialogue(sparse, make_info(sentiment_names=("positive",))) == []


def test_all_problems_of_a_dialogue_come_together() -> None:
    dialogue = make_dialogue(split="?", speakers=np.full(4, 9), features=features(text=matrix(5, (1, np.nan))))
    assert len(validate_dialogue(dialogue, make_info())) == 3


def test_long_lists_of_utterances_are_cut() -> None:
    dialogue = make_dialogue(length=50, labels=np.full(50, 7))
    (problem,) = validate_dialogue(dialogue, make_info())
    assert "utterances 0, 1, 2, 3, 4 and 45 more" in problem


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        (("train", "train"), "dialogue 'd1': occurs twice in train"),
        (("train", "test"), "dialogue 'd1': is in two splits, train and test"),
    ],
)
def test_a_repeated_dialogue_is_refused(tmp_path: Path, splits: tuple[str, str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        write_shards([make_dialogue(1, split) for split in splits], tmp_path / "set", make_info())


def test_an_error_lists_twenty_problems_and_counts_all(tmp_path: Path) -> None:
    wrong = [make_dialogue(n, labels=np.full(4, 9)) for n in range(33)]
    with pytest.raises(DataError) as error:
        write_shards(wrong, tmp_path / "set", make_info())
    assert len(error.value.problems) == 33
    assert str(error.value).count("\n  - dialogue") == 20
    assert "33 problems" in str(error.value)
    assert "and 13 more, 33 in total" in str(error.value)


def test_validating_shards_finds_what_is_wrong_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [
        make_dialogue(1, labels=np.full(4, 9, np.int32)),
        make_dialogue(2, features=features(audio=matrix(4, (2, np.nan)))),
        make_dialogue(3),
        make_dialogue(3, "test"),
    ]
    write_unchecked(monkeypatch, wrong, tmp_path / "set", make_info())
    report = validate_shards(tmp_path / "set")
    assert report.warnings == ()
    assert [
        words in problem
        for words, problem in zip(
            ("val split is empty", "'d1': label 9", "'d2': audio features hold NaN", "'d3': is in two splits"),
            report.problems,
            strict=True,
        )
    ] == [True] * 4


def test_validating_compares_the_manifest_counts(tmp_path: Path) -> None:
    write_shards(make_dialogues(), tmp_path / "set", make_info())
    manifest = tmp_path / "set" / "manifest.json"
    rows = read_manifest(tmp_path / "set").shard("train-00000.arrow").rows
    manifest.write_text(manifest.read_text().replace(f'"rows": {rows},', '"rows": 99,'))
    (problem,) = validate_shards(tmp_path / "set").problems
    assert "holds 5 dialogues with 15 utterances, the manifest says 99 with 15" in problem


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_split_is_a_problem_of_the_set(tmp_path: Path, split: str) -> None:
    write_shards([d for d in make_dialogues() if d.split != split], tmp_path / "set", make_info())
    (problem,) = validate_shards(tmp_path / "set").problems
    assert problem.startswith(f"the {split} split is empty")
    assert list(read_shards(tmp_path / "set", split=split)) == []


def test_what_is_missing_is_counted_and_no_problem(tmp_path: Path) -> None:
    write_shards(sparse_dialogues(), tmp_path / "set", make_info())
    report = validate_shards(tmp_path / "set")
    assert report.problems == report.warnings == ()
    assert report.unlabelled == {"train": 3}
    assert report.missing == {"train": {"audio": 2, "text": 1}, "val": {"audio": 1}}
    assert sorted(report.notes) == [
        "train: 1 utterance without text features",
        "train: 2 utterances without audio features",
        "train: 3 utterances without a label",
        "val: 1 utterance without audio features",
    ]


def test_validating_compares_the_missing_rows_of_the_manifest(tmp_path: Path) -> None:
    write_shards(sparse_dialogues(), tmp_path / "set", make_info())
    manifest = tmp_path / "set" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"audio": 1', '"audio": 4'))
    (problem,) = validate_shards(tmp_path / "set").problems
    assert "val-00000.arrow: lacks rows of {'audio': 1}, the manifest says of {'audio': 4}" in problem


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_a_label_is_a_problem_of_the_set(tmp_path: Path, split: str) -> None:
    bare = [replace(d, labels=np.full(len(d), -1)) if d.split == split else d for d in make_dialogues()]
    write_shards(bare, tmp_path / "set", make_info())
    (problem,) = validate_shards(tmp_path / "set").problems
    assert problem.startswith(f"no utterance of the {split} split has a label")


def test_an_all_zero_row_is_a_warning_with_what_to_do(tmp_path: Path) -> None:
    zero = make_dialogue(features=features(audio=matrix(4) * np.array([[1], [0], [1], [0]], np.float32)))
    write_shards([zero, *make_dialogues()[1:]], tmp_path / "set", make_info())
    report = validate_shards(tmp_path / "set")
    assert report.problems == ()
    (warning,) = report.warnings
    assert "dialogue 'd0': audio features are all zero at utterances 1, 3" in warning
    assert "extract them again or leave the modality out" in warning
