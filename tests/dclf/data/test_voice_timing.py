"""Voice timing by hand, and on clocks that are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dclf.data.importers.timing import FASTEST_SPEECH, LONGEST_GAP, LONGEST_UTTERANCE, seconds, timing_features


def test_a_clock_reads_as_seconds() -> None:
    assert seconds("00:16:21,940") == pytest.approx(981.94)
    assert seconds(" 1:00:00.5 ") == pytest.approx(3600.5)
    assert seconds("0:00:05") == 5.0


@pytest.mark.parametrize("clock", ["", "16:21", "00:61:00,000", "nan", "00:00:-1,000", "00:00:01,0000"])
def test_what_is_no_clock_is_refused(clock: str) -> None:
    with pytest.raises(ValueError, match=r"must be a time like 00:16:21,940, is '"):
        seconds(clock)


def test_a_dialogue_worked_by_hand() -> None:
    features = timing_features([10.0, 12.5, 13.0], [12.0, 14.5, 13.0], ["one two three four", "five six", "seven"])
    expected = [
        [math.log1p(2.0), 2.0, 0.0, 0.0],
        [math.log1p(2.0), 1.0, math.log1p(0.5), 0.0],
        [0.0, 0.0, 0.0, math.log1p(1.5)],
    ]
    np.testing.assert_allclose(features, expected, atol=1e-12)


def test_broken_clocks_are_cut_to_bounds() -> None:
    features = timing_features([0.0, 5000.0, 3.0], [-4.0, 9000.0, 3.001], ["a b", "c", "d e f"])
    np.testing.assert_allclose(features[0], 0)
    np.testing.assert_allclose(features[1, [0, 2]], [math.log1p(LONGEST_UTTERANCE), math.log1p(LONGEST_GAP)])
    np.testing.assert_allclose(features[2, 1:], [FASTEST_SPEECH, 0.0, math.log1p(LONGEST_GAP)])


_times = st.floats(0, 1e6)


@given(st.lists(st.tuples(_times, _times, st.text(max_size=30)), min_size=1, max_size=8))
@example([(0.0, 2.2e-309, "a")])
def test_no_clock_gives_wild_numbers(utterances: list[tuple[float, float, str]]) -> None:
    starts, ends, transcripts = zip(*utterances, strict=True)
    features = timing_features(starts, ends, transcripts)
    bounds = [math.log1p(LONGEST_UTTERANCE), FASTEST_SPEECH, math.log1p(LONGEST_GAP), math.log1p(LONGEST_GAP)]
    assert features.shape == (len(utterances), 4)
    assert (features >= 0).all()
    assert (features <= np.array(bounds) + 1e-12).all()
    assert (features[0, 2:] == 0).all()
    assert (np.minimum(features[:, 2], features[:, 3]) == 0).all()
