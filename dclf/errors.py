"""What all errors share that a user can cause and whose message says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterable

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Of an OSError: a device has no room, or none may be written any more."""
DISK_REFUSES = DISK_FULL | {errno.EACCES, errno.EPERM}
"""Likewise, or it has closed to this user: trying again does not help."""
_LONGEST = 500


class UserError(Exception):
    """An error whose message is all that its reader needs: IPython and notebooks show it without the traceback.

    Classes derive from it before ``ValueError`` or ``OSError``. The frames are in ``__traceback__`` as ever, and
    IPython's ``%debug`` enters them.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of the traceback."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(UserError):
    """What was asked for cannot be had, whatever the surroundings; commands then end with the code of wrong usage."""


class WorkError(UserError):
    """Work that failed, although what was asked for can be had; commands then end with the code of a failure."""


class WrongInputError(UsageError, ValueError):
    """A value that cannot be, in what somebody asked for or handed over."""


class AbsentFileError(UsageError, FileNotFoundError):
    """A file or folder that somebody named is not there."""


def require_names(**lists: Iterable[str] | None) -> None:
    """Refuse text where a list of names is meant: it would be read letter by letter.

    Args:
        lists: parameter -> its value.

    Raises:
        WrongInputError: one of them is text.
    """
    for name, value in lists.items():
        if isinstance(value, str):
            raise WrongInputError(f"{name} must be a list of names, is {value!r}; write [{value!r}]")


def first_line(error: BaseException) -> str:
    """The type of an error and the first line of what it says, cut short: below may stand other processes' frames."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:_LONGEST]}" if lines else type(error).__name__
