"""The forms in which a view shows what it hears, of a run and of a study alike: nothing, plain lines, JSON lines.

``view_panel`` has the form that moves. A view puts one of these before its own kind among its bases.
"""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Any, Self, TextIO


class Quiet:
    """A context manager that says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was found."""


class Lines:
    """Plain lines, for terminals that cannot redraw and for log files.

    Args:
        stream: where they go; stderr where None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def note(self, text: str) -> None:
        """Print the note."""
        self._say(text)

    def _say(self, *lines: str) -> None:
        print(*lines, sep="\n", file=self._stream, flush=True)


class JsonLines:
    """One JSON object per event, each with the key ``event``; ``failed`` where the work ended by an exception.

    Args:
        stream: where they go; stdout where None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write ``failed`` where there was an error."""
        if error is not None:
            self._write("failed", error=str(error) or type(error).__name__)

    def note(self, text: str) -> None:
        """Write the note."""
        self._write("note", text=text)

    def _write(self, event: str, **content: Any) -> None:
        print(json.dumps({"event": event, **content}, default=_plain), file=self._stream, flush=True)


def _plain(value: Any) -> Any:
    """NumPy's and torch's numbers as numbers; paths and whatever else as text."""
    return float(value) if hasattr(value, "__float__") else str(value)
