"""Words as a sentence has them: in lists, and behind numbers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import datetime


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Return ``a``, ``a and b``, ``a, b and c``; an empty text for no words.

    Args:
        words: in the order of the sentence.
        last: what stands before the last of them.
    """
    return f" {last} ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def quantity(count: int, noun: str) -> str:
    """Return ``1 problem``, ``2 problems``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size_text(count: float) -> str:
    """Return bytes as ``1 byte``, ``12 bytes``, ``3.4 MiB``."""
    if count < 1024:
        return quantity(round(count), "byte")
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"


def local_minute(moment: datetime) -> str:
    """Return a moment as ``2026-01-02 09:00``, in this machine's time zone."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def shorten(text: str, longest: int) -> str:
    """Return text of at most so many characters, with an ellipsis where it is cut."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def suggestion(word: str, choices: Iterable[str]) -> str:
    """``; did you mean X?`` for the choice most like a mistyped word, or nothing."""
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


def printable(text: str) -> str:
    """Text on one line, with a question mark for what would steer a terminal."""
    return without_controls(" ".join(text.split()))


def without_controls(line: str) -> str:
    """A line with a question mark for every character that would steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in line)
