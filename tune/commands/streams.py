"""Standard output and error of the program ``dclf``: nothing that happens to them cuts work short.

A character that the encoding lacks is replaced, words for a reader who has left are dropped, and a stream that was
closed is as if it went to /dev/null. An output that could not be written, as on a full disk, is an error in the end.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

IN, OUT, ERR = 0, 1, 2
PLAIN = str.maketrans(
    {"±": "+-", "–": "-", "…": "...", "·": "-", "↓": "-", "↑": "+"}
    | dict.fromkeys(map(chr, range(0x2800, 0x2900)), ".")  # the pictures of a spinner
)
"""What stands for the characters that we print where the encoding lacks them; any other one is escaped."""
_REPLACES = "dclf-plain"


class StandardStream(io.FileIO):
    """A standard stream that accepts whatever is written to it.

    Args:
        number: its file descriptor, which stays open.

    Attributes:
        unread: nobody can read it any more: the other end of the pipe is closed, or the terminal is gone.
        error: why something could not be written, other than that.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.unread = False
        self.error: OSError | None = None
        # A file gives EIO where the disk is broken.
        self._gone = (errno.EPIPE, errno.EIO) if self.isatty() else (errno.EPIPE,)

    def write(self, content: ReadableBuffer, /) -> int:
        """Write, or drop what cannot be written; return how many bytes that was."""
        if not self.unread:
            try:
                return super().write(content)
            except OSError as error:
                self.unread = error.errno in self._gone
                if not self.unread:
                    self.error = error
        return memoryview(content).nbytes


def open_streams() -> None:
    """Put the standard streams in place, whatever this process was given for them."""
    _open_closed()
    if sys.stdin is None:
        sys.stdin = open(IN, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    codecs.register_error(_REPLACES, _plain)
    sys.stdout, sys.stderr = _text(OUT, sys.stdout), _text(ERR, sys.stderr)


def is_unread(stream: TextIO) -> bool:
    """Return whether nobody can read what is written to a stream, as far as writing has shown."""
    file = _file(stream)
    return file is not None and file.unread


def output_error() -> OSError | None:
    """Write what is still waiting to ``sys.stdout``; return why some of its output could not be written."""
    sys.stdout.flush()
    file = _file(sys.stdout)
    return None if file is None else file.error


def _open_closed() -> None:
    """Open /dev/null for closed ones of the standard files: the next file to be opened would get their number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= ERR:
        os.set_inheritable(number, True)
    os.close(number)


def _text(number: int, before: TextIO | None) -> io.TextIOWrapper:
    """A stream as Python opens it, but for errors; ``before`` is Python's, None where it was closed."""
    encoding, at_once = "utf-8", False
    if before is not None:
        before.flush()
        encoding, at_once = before.encoding, getattr(before, "write_through", False)
    file = StandardStream(number)
    lines = number == ERR or file.isatty()
    return io.TextIOWrapper(
        file if at_once else io.BufferedWriter(file),
        encoding=encoding,
        errors=_REPLACES,
        newline="\n",
        line_buffering=lines,
        write_through=at_once,
    )


def _file(stream: TextIO) -> StandardStream | None:
    buffer = getattr(stream, "buffer", None)
    file = getattr(buffer, "raw", buffer)
    return file if isinstance(file, StandardStream) else None


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
