"""Begins what a study needs before its command line is read, which takes a second."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

STUDIES = frozenset({"sweep", "ablate", "grid", "study", "resume"})
"""The commands that run trials."""
_NO_STUDY = frozenset({"-h", "--help", "--print-config"})
THREADS = 1
"""Of a trial that says nothing else; one that does is given another process as soon as that is known."""


def begun_early(arguments: Sequence[str]) -> AbstractContextManager[None]:
    """Within the block a process imports for the trials of the study that the words ask for, if they do.

    Args:
        arguments: words of the command line, which need not be right.
    """
    joins = any(word.partition("=")[0] == "--address" for word in arguments)
    if not arguments or arguments[0] not in STUDIES or joins or _NO_STUDY & set(arguments):
        return nullcontext()
    # Imported here: other commands need no second process.
    from tune.study.warming import warming  # noqa: PLC0415

    return warming(THREADS, None)
