"""Emotion shifts against a plain reading of the definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dclf.data import emotion_shifts


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8))))
def test_a_shift_differs_from_the_same_speakers_previous_emotion(dialogue: list[tuple[int, int]]) -> None:
    labels, speakers = [label for label, _ in dialogue], [speaker for _, speaker in dialogue]
    last: dict[int, int] = {}
    expected = []
    for label, speaker in dialogue:
        expected.append(speaker in last and last[speaker] != label)
        last[speaker] = label
    shifts = emotion_shifts(labels, speakers)
    assert shifts.dtype == np.bool_
    assert shifts.tolist() == expected


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3))))
def test_unlabelled_utterances_neither_shift_nor_stand_between(dialogue: list[tuple[int, int]]) -> None:
    labels, speakers = np.array([e for e, _ in dialogue], int), np.array([s for _, s in dialogue], int)
    shifts, labelled = emotion_shifts(labels, speakers), labels >= 0
    assert not shifts[~labelled].any()
    np.testing.assert_array_equal(shifts[labelled], emotion_shifts(labels[labelled], speakers[labelled]))


def test_a_dialogue_worked_by_hand() -> None:
    assert emotion_shifts([1, 2, 1, 3, 3], [0, 1, 0, 0, 1]).tolist() == [False, False, False, True, True]
