"""Scores against their definitions, counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from dclf.metrics import classification_scores, confusion, shift_scores

NAMES = ("neutral", "joy", "anger", "fear")
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


def test_a_case_by_hand() -> None:
    scores = classification_scores([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 0], NAMES)
    # Recall 2/3, 1/2, 0; precision 2/3, 1/2, 0; nobody is or is called fear.
    assert scores == pytest.approx(
        {
            "wa": 3 / 6,
            "wf1": (3 * 2 / 3 + 2 * 1 / 2) / 6,
            "accuracy/neutral": 2 / 3,
            "accuracy/joy": 1 / 2,
            "accuracy/anger": 0.0,
            "accuracy/fear": 0.0,
            "f1/neutral": 2 / 3,
            "f1/joy": 1 / 2,
            "f1/anger": 0.0,
            "f1/fear": 0.0,
        }
    )
    assert all(type(score) is float for score in scores.values())


@given(pairs)
def test_scores_follow_from_the_confusion_matrix(answers: list[tuple[int, int]]) -> None:
    targets, predictions = zip(*answers, strict=True)
    matrix = confusion(targets, predictions, NAMES)
    scores = classification_scores(targets, predictions, NAMES)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[answers.count((t, p)) for p in range(4)] for t in range(4)]
    wf1 = 0.0
    for k, name in enumerate(NAMES):
        hits, true, called = matrix[k, k], matrix[k].sum(), matrix[:, k].sum()
        assert scores[f"accuracy/{name}"] == pytest.approx(hits / true if true else 0.0)
        f1 = 2 * hits / (true + called) if true + called else 0.0
        assert scores[f"f1/{name}"] == pytest.approx(f1)
        wf1 += f1 * true / len(answers)
    assert scores["wf1"] == pytest.approx(wf1)
    assert scores["wa"] == pytest.approx(np.mean(np.equal(targets, predictions)))


@given(pairs)
def test_scores_are_those_of_scikit_learn(answers: list[tuple[int, int]]) -> None:
    targets, predictions = zip(*answers, strict=True)
    scores = classification_scores(targets, predictions, NAMES)
    _, recall, f1, support = precision_recall_fscore_support(targets, predictions, labels=range(4), zero_division=0)
    assert [scores[f"accuracy/{name}"] for name in NAMES] == pytest.approx(list(recall), abs=1e-12)
    assert [scores[f"f1/{name}"] for name in NAMES] == pytest.approx(list(f1), abs=1e-12)
    assert scores["wf1"] == pytest.approx(np.average(f1, weights=support), abs=1e-12)


@pytest.mark.parametrize(
    ("targets", "predictions", "message"),
    [
        ([], [], "targets must be a list of at least one"),
        ([0, 1], [], "predictions must be a list of at least one"),
        ([0, 1], [0], "same utterances, are 2 and 1"),
        ([0, 4], [0, 1], r"targets must lie in 0 \.\. 3 for 4 class names, 1 do not, such as 4"),
        ([0, 1], [0, -1], r"predictions must lie in 0 \.\. 3 .* such as -1"),
        ([0, 1], [0.2, 0.8], "predictions must be integers, are float64; take the argmax"),
        ([[0, 1]], [0, 1], r"targets must be a list .* shape \(1, 2\)"),
    ],
)
@pytest.mark.parametrize("function", [classification_scores, confusion])
def test_impossible_input_is_refused(function: object, targets: object, predictions: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(targets, predictions, NAMES)  # type: ignore[operator]


def test_wf1_with_and_without_shift_is_that_of_the_two_parts() -> None:
    targets, predictions = [0, 0, 1, 1, 2], [0, 1, 1, 1, 0]
    shifts = [False, True, True, False, False]
    scores = shift_scores(targets, predictions, shifts, NAMES)
    assert scores == {
        "shift/wf1": classification_scores([0, 1], [1, 1], NAMES)["wf1"],
        "no_shift/wf1": classification_scores([0, 1, 2], [0, 1, 0], NAMES)["wf1"],
    }
    assert shift_scores([0], [0], [False], NAMES) == {"no_shift/wf1": 1.0}
    with pytest.raises(ValueError, match=r"shifts must be \[2\] like the targets, has shape \(1,\)"):
        shift_scores([0, 1], [0, 1], [True], NAMES)
