"""The emotion index against a brute-force search over all runs of all other dialogues."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dclf.negatives import EmotionIndex

dialogues = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=7)


def index_of(conversations: list[list[int]]) -> tuple[EmotionIndex, np.ndarray, np.ndarray]:
    labels = np.concatenate([np.array(c) for c in conversations])
    lengths = np.array([len(c) for c in conversations])
    return EmotionIndex(labels, lengths), labels, lengths


def best_runs(conversations: list[list[int]], dialogue: int, time: int, window: int) -> tuple[int, set[int]]:
    """Length of the run, and first positions of all best runs, by trying every run of every other dialogue."""
    others = [len(c) for d, c in enumerate(conversations) if d != dialogue]
    w = min(window, time, max(others, default=0))
    history = conversations[dialogue][time - w : time]
    distances: dict[int, int] = {}
    start = 0
    for d, conversation in enumerate(conversations):
        for first in range(len(conversation) - w + 1):
            if d != dialogue and w > 0:
                run = conversation[first : first + w]
                distances[start + first] = sum(a != b for a, b in zip(run, history, strict=True))
        start += len(conversation)
    fewest = min(distances.values(), default=0)
    return w, {first for first, mismatches in distances.items() if mismatches == fewest}


@given(dialogues, st.integers(1, 12), st.integers(0, 2**64 - 1), st.integers(0, 100))
@example([[0, 1, 2, 0, 1]], 3, 0, 0)
@example([[0], [1], [2]], 3, 0, 0)
@example([[0, 0, 0, 0, 0, 0, 0], [1, 1]], 5, 0, 0)
def test_every_negative_is_among_the_best_runs_of_other_dialogues(
    conversations: list[list[int]], window: int, seed: int, epoch: int
) -> None:
    index, labels, _ = index_of(conversations)
    indices, mask = index.sample(np.arange(len(labels)), window, seed, epoch)
    assert indices.shape == mask.shape == (len(labels), window)
    assert (indices.dtype, mask.dtype) == (np.int64, np.bool_)
    anchor = 0
    for dialogue, conversation in enumerate(conversations):
        for time in range(len(conversation)):
            w, best = best_runs(conversations, dialogue, time, window)
            assert mask[anchor].tolist() == [p <= w for p in range(1, window + 1)]
            assert not indices[anchor, w:].any()
            if w:
                first = indices[anchor, w - 1]
                assert first in best
                assert indices[anchor, :w].tolist() == list(range(first + w - 1, first - 1, -1))
            anchor += 1


@given(dialogues, st.integers(1, 6), st.integers(0, 1000), st.randoms(use_true_random=False))
def test_a_draw_depends_on_its_own_anchor_alone(
    conversations: list[list[int]], window: int, seed: int, random: object
) -> None:
    index, labels, _ = index_of(conversations)
    positions = np.arange(len(labels))
    indices, mask = index.sample(positions, window, seed, 3)
    shuffled = positions.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    some = shuffled[: len(shuffled) // 2 + 1]
    some_indices, some_mask = index_of(conversations)[0].sample(some, window, seed, 3)
    np.testing.assert_array_equal(some_indices, indices[some])
    np.testing.assert_array_equal(some_mask, mask[some])


@given(st.lists(st.lists(st.integers(-1, 2), min_size=1, max_size=9), min_size=1, max_size=7), st.integers(1, 12))
@example([[-1, -1], [-1]], 3)
@example([[0, -1, 1, 2], [-1], [0, 1, 0]], 2)
def test_unlabelled_utterances_are_as_if_they_were_not_there(conversations: list[list[int]], window: int) -> None:
    index, labels, lengths = index_of(conversations)
    labelled = np.flatnonzero(labels >= 0)
    everywhere = np.arange(len(labels))
    runs, mask = index.sample(everywhere, window, 3, 1)
    history, before = index.history(everywhere, window)
    assert not mask[labels < 0].any()
    assert not before[labels < 0].any()
    without = [left for left in ([e for e in c if e >= 0] for c in conversations) if left]
    if not without:
        return
    alone, alone_labels, _ = index_of(without)
    expected, expected_mask = alone.sample(np.arange(len(alone_labels)), window, 3, 1)
    np.testing.assert_array_equal(mask[labelled], expected_mask)
    np.testing.assert_array_equal(runs[labelled], np.where(expected_mask, labelled[expected], 0))
    dialogue = np.repeat(np.arange(len(lengths)), lengths)
    for anchor in labelled:
        own = [u for u in labelled if u < anchor and dialogue[u] == dialogue[anchor]][::-1][:window]
        assert history[anchor][before[anchor]].tolist() == own


def chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize(
    ("conversations", "anchor"),
    [
        ([[0, 1, 2], [0, 1, 0, 1, 1], [0, 1], [2, 0, 1, 0, 1, 0, 1]], 2),
        ([[0, 1, 0, 1, 2, 0, 1], [0, 1, 0, 1, 1], [0, 1], [2, 0, 1, 0, 1, 0, 1]], 4),
        ([[2, 2, 1], [0, 1, 0, 2, 1], [2, 0], [1, 0, 2, 1]], 2),
    ],
    ids=["exact", "exact beside own runs", "one mismatch"],
)
@pytest.mark.parametrize("vary", ["seed", "epoch"])
def test_the_best_runs_are_equally_likely(conversations: list[list[int]], anchor: int, vary: str) -> None:
    index, _, lengths = index_of(conversations)
    _, best = best_runs(conversations, 0, anchor, 2)
    assert anchor < lengths[0]
    assert len(best) >= 4
    draws = 4000
    numbers = [(k, 0) if vary == "seed" else (0, k) for k in range(draws)]
    firsts = [int(index.sample(np.array([anchor]), 2, seed, epoch)[0][0, 1]) for seed, epoch in numbers]
    counts = np.array([firsts.count(first) for first in sorted(best)])
    assert counts.sum() == draws
    # The 99.99 % quantile of chi-square with up to 6 degrees of freedom is below 28.
    assert chi_square(counts) < 28


def test_neighbouring_anchors_draw_independently() -> None:
    conversations = [[0] * 41, [0] * 41]
    indices, _ = index_of(conversations)[0].sample(np.arange(1, 41), 1, seed=5, epoch=1)
    assert len(np.unique(indices)) > 15
    assert len(np.unique(np.diff(indices[:, 0]))) > 15


def test_wide_windows_and_many_classes_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([150, 140, 130, 3])
    labels = rng.integers(0, 300, size=lengths.sum())
    labels[150:290] = labels[:140]
    indices, mask = EmotionIndex(labels, lengths).sample(np.arange(140), 1000, 0, 0)
    for anchor in range(1, 140):
        np.testing.assert_array_equal(labels[indices[anchor][mask[anchor]]], labels[:anchor][::-1])


def test_a_batch_of_one_class_draws_from_all_runs_of_the_other_dialogue() -> None:
    index, _, _ = index_of([[0] * 5, [0] * 4])
    firsts = {int(index.sample(np.array([2]), 2, seed, 0)[0][0, 1]) for seed in range(200)}
    assert firsts == {5, 6, 7}


@pytest.mark.parametrize(
    ("labels", "lengths", "message"),
    [
        ([0, 1, 2], [2], "sum to the number of labels"),
        ([0, 1], [2, 0], "at least 1 each"),
        ([], [], "at least 1 each"),
        ([0, -2], [2], "or -1 for none, the least is -2"),
    ],
)
def test_impossible_dialogues_are_refused(labels: list[int], lengths: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmotionIndex(np.array(labels, dtype=np.int64), np.array(lengths, dtype=np.int64))


def test_nothing_is_cut_to_a_whole_number() -> None:
    with pytest.raises(ValueError, match=r"labels must be whole numbers, is 2\.77 at utterance 1"):
        EmotionIndex([0.0, 2.77], [2])
    with pytest.raises(ValueError, match=r"lengths must be whole numbers, is 1\.5"):
        EmotionIndex([0, 1], [1.5, 0.5])
    with pytest.raises(ValueError, match=r"positions must be whole numbers, is 0\.5"):
        EmotionIndex([0, 1, 0], [2, 1]).sample([0.5], 1, 0, 0)


@pytest.mark.parametrize(
    ("positions", "window", "message"), [([0], 0, "window"), ([3], 1, r"0 \.\. 2"), ([-1], 1, "-1")]
)
def test_impossible_anchors_are_refused(positions: list[int], window: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmotionIndex([0, 1, 0], [2, 1]).sample(positions, window, 0, 0)
