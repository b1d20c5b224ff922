"""Numbers in words: which tests a p-value belongs to."""

from collections.abc import Mapping

import pytest

from tune.analysis.comparison.number_text import family_note


@pytest.mark.parametrize(
    ("tests", "which"),
    [
        ({"mmgcn": 1}, "the only one, so"),
        ({"mmgcn": 1, "ddin": 0}, "the only one, so"),
        ({"mmgcn": 1, "ddin": 1}, "one for each base model, so"),
        ({"mmgcn": 1, "ddin": 0, "sdt": 1}, "one for each of mmgcn and sdt, so"),
        ({"mmgcn": 3, "ddin": 3}, "the 3 tests of WF1 that this study has for each base model."),
        ({"mmgcn": 3, "ddin": 1}, "all tests of WF1 that this study has for each base model (mmgcn 3, ddin 1)."),
        ({"mmgcn": 0, "ddin": 0}, "Nothing is tested: "),
    ],
)
def test_the_tests_of_a_family_are_told(tests: Mapping[str, int], which: str) -> None:
    assert which in family_note(tests, "WF1")
