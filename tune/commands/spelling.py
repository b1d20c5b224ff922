"""One spelling for every option: a command's own options have dashes, keys of the configuration underscores."""

from __future__ import annotations

from collections.abc import Sequence

DEBUG = "--debug"
"""Option of all commands."""
_NAMED_BY_USERS = ("track.tags.", "sweep.objectives.", "published.", "loss.terms.", "sweep.space.loss.terms.")
"""Below these the keys are names that users, data sets or packages gave, which stay as they are."""


def without_debug(argv: Sequence[str]) -> tuple[list[str], bool]:
    """Return the words without ``--debug``, and whether it was there; whatever follows the word ``--`` stays."""
    end = argv.index("--") if "--" in argv else len(argv)
    own = [word for word in argv[:end] if word != DEBUG]
    return [*own, *argv[end:]], len(own) < end


def spelled(argv: Sequence[str]) -> list[str]:
    """The words with options as we write them: ``--print_config`` with a dash, ``--data.batch-size`` without.

    Values, and whatever follows the word ``--``, stay as they are.

    Args:
        argv: words of a command line.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    return [*map(_spelled, argv[:end]), *argv[end:]]


def _spelled(word: str) -> str:
    if not word.startswith("--"):
        return word
    option, equals, value = word[2:].partition("=")
    if "." not in option:
        option = option.replace("_", "-")
    elif not option.startswith(_NAMED_BY_USERS):
        option = option.replace("-", "_")
    return f"--{option}{equals}{value}"
