"""Lists of words in sentences."""

import pytest

from dclf.prose import join_words


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), (["2"], "2"), (["2", "4"], "2 or 4"), (("2", "4", "8"), "2, 4 or 8")]
)
def test_words_are_joined_as_in_a_sentence(words: list[str], text: str) -> None:
    assert join_words(words, "or") == text
