"""Tells options of a command from overrides of the configuration on one command line."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence


def split_overrides(
    argv: Sequence[str], flags: Collection[str], valued: Collection[str]
) -> tuple[list[str], dict[str, str], list[str]]:
    """Take ``--section.key VALUE`` and ``--section.key=VALUE`` out of a command line.

    Every option that is not the command's own is an override: a mistyped key is then reported with all other
    mistakes of the configuration.

    Args:
        argv: the command's arguments.
        flags: the command's own options without a value.
        valued: those with a value.

    Returns:
        The remaining arguments; dotted key -> text; and what is wrong with overrides that lack a value or come twice.
    """
    rest: list[str] = []
    overrides: dict[str, str] = {}
    problems: list[str] = []
    words = deque(argv)
    while words:
        word = words.popleft()
        option, equals, value = word.partition("=")
        if not word.startswith("--") or option in flags:
            rest.append(word)
            continue
        if option in valued:
            rest += [word] if equals or not words else [word, words.popleft()]
            continue
        key, given = option[2:], value if equals else _next_value(words)
        if given is None:
            problems.append(f"{key}: must have a value, as in {option} VALUE")
        elif key in overrides:
            problems.append(f"{key}: must be given once, is given as {overrides[key]!r} and {given!r}")
        else:
            overrides[key] = given
    return rest, overrides, problems


def _next_value(words: deque[str]) -> str | None:
    """The next word unless it is an option, which then stays for its turn."""
    return None if not words or words[0].startswith("--") else words.popleft()
