"""What all errors share that a user can cause and whose message says what to do."""

from __future__ import annotations


class UserError(Exception):
    """An error whose message is all that its reader needs: IPython and notebooks show it without the traceback.

    Classes derive from it before ``ValueError`` or ``OSError``. The frames are in ``__traceback__`` as ever, and
    IPython's ``%debug`` enters them.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of the traceback."""
        return [f"{type(self).__name__}: {self}"]
