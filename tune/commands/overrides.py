"""Tells options of a command from overrides of the configuration on one command line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice


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
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        if not word.startswith("--") or option in flags:
            rest.append(word)
            continue
        if option in valued:
            rest += [word] if equals else [word, *islice(words, 1)]
            continue
        key, given = option[2:], value if equals else next(words, None)
        if given is None or (not equals and given.startswith("--")):
            problems.append(f"{key}: must have a value, as in {option} VALUE")
        elif key in overrides:
            problems.append(f"{key}: must be given once, is given as {overrides[key]!r} and {given!r}")
        else:
            overrides[key] = given
    return rest, overrides, problems
