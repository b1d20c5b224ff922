"""Lists of words in sentences, and sizes."""

import pytest

from dclf.prose import join_words, shorten, size_text


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), (["2"], "2"), (["2", "4"], "2 or 4"), (("2", "4", "8"), "2, 4 or 8")]
)
def test_words_are_joined_as_in_a_sentence(words: list[str], text: str) -> None:
    assert join_words(words, "or") == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (999 << 10, "999.0 KiB"),
        (3_600_000, "3.4 MiB"),
        (1000 << 20, "1000.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (2 << 50, "2048.0 TiB"),
    ],
)
def test_sizes_have_no_exponents(count: float, text: str) -> None:
    assert size_text(count) == text


def test_long_text_is_cut() -> None:
    assert shorten("text + audio", 12) == "text + audio"
    assert shorten("text + audio + visual", 12) == "text + audi…"
