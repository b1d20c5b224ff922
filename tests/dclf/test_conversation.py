from typing import Any

import numpy as np
import pytest

from dclf.conversation import (
    Speakers,
    feature_rows,
    no_features,
    raw_problems,
    raw_utterance,
    unlabelled_dialogue,
    vector_problem,
)
from dclf.data.errors import DataError
from dclf.extraction import Utterance


def test_names_get_numbers_in_the_order_in_which_they_come_up() -> None:
    speakers = Speakers(3)
    assert [speakers.number(name) for name in ("Ann", "Bob", "Ann", "Cem", "Bob")] == [0, 1, 0, 2, 1]


def test_names_that_are_told_have_their_numbers() -> None:
    speakers = Speakers(3, ["M", "F"])
    assert [speakers.number(name) for name in ("F", "M", "third")] == [1, 0, 2]


def test_numbers_are_the_models_own() -> None:
    speakers = Speakers(3)
    assert [speakers.number(number) for number in (2, 0, np.int64(1))] == [2, 0, 1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Ann", "Bob", "Cem"], r"speaker 'Cem' is one too many: the model knows 2, which Ann, Bob are; give"),
        ([2], "speaker must be 0 to 1, which the model knows, is 2"),
        ([-1], "speaker must be 0 to 1, which the model knows, is -1"),
        ([0, "Ann"], "must be all names or all numbers, is 'Ann' after numbers"),
        (["Ann", 0], "must be all names or all numbers, is 0 after names"),
        ([" "], "must be a name or a number, is ' '"),
        ([True], "must be a name or a whole number, is True"),
        ([0.0], "must be a name or a whole number, is 0.0"),
        ([None], "must be a name or a whole number, is None"),
    ],
)
def test_speakers_that_no_model_can_know(names: list[Any], message: str) -> None:
    speakers = Speakers(2)
    for one in names[:-1]:
        speakers.number(one)
    with pytest.raises(ValueError, match=message):
        speakers.number(names[-1])


@pytest.mark.parametrize("names", [["a", "b", "c"], ["a", "a"]])
def test_names_that_cannot_be_told(names: list[str]) -> None:
    with pytest.raises(ValueError, match="speakers must be"):
        Speakers(2, names)


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        ([1, 2.5], ""),
        (np.ones(2, np.float32), ""),
        ([1.0], "must be 2 numbers as in training, are 1"),
        ([], "must be 2 numbers as in training, are 0"),
        ("ab", "must be a list of 2 numbers"),
        (["a", "b"], "must be a list of 2 numbers"),
        ([1.0, True], "must be a list of 2 numbers"),
        ([1.0, None], "must be a list of 2 numbers"),
        ([[1.0], [2.0]], "must be a list of 2 numbers"),
        ([[1.0], [2.0, 3.0]], "must be a list of 2 numbers"),
        ({"a": 1}, "must be a list of 2 numbers"),
        (3, "must be a list of 2 numbers"),
    ],
)
def test_vectors_that_can_be_read_and_others(vector: Any, problem: str) -> None:
    assert vector_problem(vector, 2) == problem


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_value_that_is_not_finite_as_float32_is_named(value: float) -> None:
    assert vector_problem([0.5, value], 2).startswith(f"must be finite, is {value} at 1; extract them again")


def test_missing_vectors_become_zero_rows() -> None:
    rows, present = feature_rows([[1, 2], None, [3, 4]], 2)
    assert rows.tolist() == [[1, 2], [0, 0], [3, 4]]
    assert rows.dtype == np.float32
    assert present.tolist() == [True, False, True]


def test_a_dialogue_names_what_it_cannot_read_all_at_once() -> None:
    vectors: dict[str, list[Any]] = {"text": [[1.0], None, [1.0, 2.0]], "audio": [[np.nan]] * 3}
    with pytest.raises(DataError) as error:
        unlabelled_dialogue("d", np.zeros(3, np.int32), vectors, {"text": 2, "audio": 1})
    assert [problem.split(" must ")[0] for problem in error.value.problems] == [
        "dialogue 'd': text features at utterance 0",
        "dialogue 'd': audio features at utterance 0",
        "dialogue 'd': audio features at utterance 1",
        "dialogue 'd': audio features at utterance 2",
    ]


def test_a_complete_modality_has_no_mask() -> None:
    vectors: dict[str, list[Any]] = {"text": [[1.0], [2.0]], "audio": [None, [3.0]]}
    dialogue = unlabelled_dialogue("d", np.zeros(2, np.int32), vectors, {"text": 1, "audio": 1})
    assert list(dialogue.present) == ["audio"]
    assert dialogue.labels.tolist() == [-1, -1]


def test_words_and_recordings_of_an_utterance() -> None:
    assert raw_utterance({}) == raw_utterance({"media": None, "start": None}) == Utterance()
    utterance = {"text": "hi", "media": "talk.wav", "start": np.float32(0.5), "end": 2, "features": {}}
    assert raw_problems(utterance) == {}
    assert raw_utterance(utterance, "folder") == Utterance(text="hi", recording="folder/talk.wav", start=0.5, end=2.0)
    assert raw_utterance({"media": "/talk.wav"}, "folder").recording == "/talk.wav"


@pytest.mark.parametrize(
    ("raw", "key", "problem"),
    [
        ({"text": None}, "text", "must be the words as a text, is null"),
        ({"text": "oh \ud83d"}, "text", 'must be Unicode, has half of a surrogate pair: "oh \\ud83d"; write the char'),
        ({"media": "\ud83d.wav"}, "media", "must be Unicode, has half of a surrogate pair"),
        ({"media": 7}, "media", "must be the path of a sound or video file, is 7"),
        ({"media": " "}, "media", "must be the path of"),
        ({"media": "http://host/talk.wav"}, "media", "must be the path of"),
        ({"media": "a\0b"}, "media", "must be the path of"),
        ({"media": "a", "start": True}, "start", "must be a second of the recording, 0 or more, is true"),
        ({"media": "a", "end": float("inf")}, "end", "must be a second of"),
        ({"media": "a", "end": 0}, "end", "must be after start, 0, is 0"),
        ({"start": 1}, "start", "must come with media"),
    ],
)
def test_what_is_wrong_with_words_and_recordings(raw: dict[str, Any], key: str, problem: str) -> None:
    (item,) = raw_problems(raw).items()
    assert item[0] == key
    assert item[1].startswith(problem)


def test_what_is_to_be_brought_depends_on_what_can_be_made() -> None:
    widths = {"text": 2, "audio": 1}
    assert "must have feature vectors of text (2 numbers) or audio (1 numbers), has none" in no_features(widths)
    problem = no_features(widths, {"audio": "recording"})
    assert problem.startswith("must have a recording for audio, or feature vectors of text (2 numbers) or audio (1 num")
