"""A file of lines that only grows, kept in a store whose objects cannot grow: as a log of objects.

Each upload is an object of its own, named by the driver's turn and a number that counts up, such as
``1700000000000-000007``. It holds the lines since the upload before; or, where the name ends in ``-whole``, the whole
file, and everything before it is deleted. A driver begins its turn with a whole object. The file is the last whole
object and what follows it in the same turn, up to the first number that is missing.

Why no line is lost or comes twice, whatever fails between two requests:

- A driver has a later turn than all before it, see ``tune.study.claims``. What one that was thought lost still uploads
  is of an earlier turn than the whole object its successor began with, so it is no part of the file; and it deletes
  only what lies before an object of its own.
- An object never changes: after an upload that failed, and may have arrived after all, comes a whole object under the
  next number. Who has joined an object once need not read it again.
- Objects are deleted when the whole one that replaces them is there. Who finds one gone lists again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from dclf.data.storage import Folder
from dclf.whole_files import whole

APPENDS = 256
"""How many objects follow a whole one before the next."""
_NAME = re.compile(r"(\d{13})-(\d{6})(-whole)?")
_BYTES_NAME = re.compile(r"(\d{12})-(\d{12})-(\d{13})")
_ATTEMPTS = 5
_AT_A_TIME = 16


@dataclass(frozen=True, order=True)
class LogObject:
    """An object of the log.

    Attributes:
        turn: of the driver that wrote it.
        place: its number.
        following: the number of the one behind it.
        whole: it holds the whole file.
        name: of the object.
    """

    turn: int
    place: int
    following: int
    whole: bool
    name: str

    @classmethod
    def numbered(cls, turn: int, number: int, *, whole: bool) -> LogObject:
        """The entry of a turn with this number."""
        return cls(turn, number, number + 1, whole, f"{turn:013}-{number:06}{'-whole' if whole else ''}")

    @classmethod
    def of(cls, name: str) -> LogObject | None:
        """The entry of this name; None for any other object."""
        if match := _NAME.fullmatch(name):
            return cls.numbered(int(match[1]), int(match[2]), whole=bool(match[3]))
        # Studies begun by version 0.1 have objects named by first byte, last byte and turn.
        if match := _BYTES_NAME.fullmatch(name):
            start, end, turn = map(int, match.groups())
            return cls(turn, start, end, start == 0, name)
        return None


def entries(names: Iterable[str]) -> list[LogObject]:
    """The entries among the objects of a folder, in order."""
    return sorted(entry for name in names if (entry := LogObject.of(name)) is not None)


def chain(names: Iterable[str]) -> list[LogObject]:
    """The entries that make up the file, in order.

    Args:
        names: of the objects in the log's folder.
    """
    ordered = entries(names)
    parts = [entry for entry in ordered if entry.whole][-1:]
    at = {entry.place: entry for entry in ordered if parts and entry.turn == parts[0].turn}
    while parts and parts[-1].following in at:
        parts.append(at[parts[-1].following])
    return parts


class ObjectLog:
    """A local file that only grows, and its objects.

    Args:
        local: the file; created by ``pull`` where there are objects.
        remote: folder of the objects.
        appends: how many objects follow a whole one before the next.

    Attributes:
        turn: the latest turn at the last ``pull``; 0 where there were no objects.
    """

    def __init__(self, local: Path, remote: Folder, appends: int = APPENDS) -> None:
        self.turn = 0
        self._local = local
        self._remote = remote
        self._appends = appends
        self._own_turn = 0
        self._number = 0  # of the next object of our turn
        self._room = 0  # how many objects may follow before the next whole one; 0 where that comes next
        self._offset = 0  # of the first byte that is not uploaded
        self._note = local.with_name(f".{local.name}.joined")

    @property
    def unsent(self) -> int:
        """Bytes of whole lines that were appended in our turn and are not uploaded."""
        return len(self._unsent_lines())

    def pull(self) -> Path | None:
        """Bring the local file up to date; lines that it has beyond the objects stay, for the next driver to upload.

        Returns:
            The file in which lines were set aside that another driver has overtaken; None where there were none.

        Raises:
            OSError: the store does not answer.
        """
        for _ in range(_ATTEMPTS - 1):
            with suppress(FileNotFoundError):  # replaced by a whole object since they were listed
                return self._pull()
        return self._pull()

    def begin(self, turn: int) -> None:
        """Begin a turn of our own with the whole file, which must be up to date.

        Args:
            turn: later than that of any driver before.

        Raises:
            OSError: the store does not answer.
        """
        self._own_turn, self._number, self._room, self._offset = turn, 0, 0, 0
        self._upload(self._unsent_lines())

    def push(self) -> int:
        """Upload what was appended in our turn, up to the last whole line; how many bytes that was.

        Raises:
            OSError: the store does not answer.
        """
        lines = self._unsent_lines()
        if lines:
            self._upload(lines)
        return len(lines)

    def _pull(self) -> Path | None:
        objects = self._remote.files()
        self.turn = max((entry.turn for entry in entries(objects)), default=0)
        names = [entry.name for entry in chain(objects)]
        if not names:
            return None
        joined, size = self._joined()
        start, missing = (size, names[names.index(joined) + 1 :]) if joined in names else (0, names)
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            content = b"".join(pool.map(self._remote.read_bytes, missing))
        aside = self._join(start, content)
        self._keep_joined(names[-1], start + len(content))
        return aside

    def _join(self, start: int, content: bytes) -> Path | None:
        """Write what was read where the local file lacks it, or differs."""
        own = self._between(start, start + len(content))
        if content.startswith(own):
            with self._local.open("ab") as file:
                file.write(content[len(own) :])
            return None
        differs = next((place for place, pair in enumerate(zip(own, content, strict=False)) if pair[0] != pair[1]), 0)
        agreed = content.rfind(b"\n", 0, differs) + 1
        aside = self._local.with_name(f"{self._local.name}.overtaken-{time_ns()}")
        aside.write_bytes(self._between(start + agreed, None))
        with self._local.open("r+b") as file:
            file.truncate(start + agreed)
            file.seek(start + agreed)
            file.write(content[agreed:])
        return aside

    def _upload(self, lines: bytes) -> None:
        entry = LogObject.numbered(self._own_turn, self._number, whole=not self._room)
        # Until this object is known to have arrived, the next one must not build on it.
        room, self._room = self._room, 0
        self._number += 1
        end = self._offset + len(lines)
        self._remote.write_bytes(entry.name, self._between(0, end) if entry.whole else lines)
        self._room, self._offset = self._appends if entry.whole else room - 1, end
        self._keep_joined(entry.name, end)
        if entry.whole:
            self._delete_before(entry)

    def _delete_before(self, entry: LogObject) -> None:
        replaced = [other.name for other in entries(self._remote.files()) if other < entry]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(self._remote.delete, replaced))

    def _unsent_lines(self) -> bytes:
        content = self._between(self._offset, None)
        return content[: content.rfind(b"\n") + 1]

    def _between(self, start: int, end: int | None) -> bytes:
        if not self._local.exists():
            return b""
        with self._local.open("rb") as file:
            file.seek(start)
            return file.read() if end is None else file.read(end - start)

    def _joined(self) -> tuple[str, int]:
        """The object up to which the local file is known to agree with the log, and its length there."""
        try:
            name, size = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "", 0
        agrees = self._local.exists() and self._local.stat().st_size >= size
        return (name, size) if agrees else ("", 0)

    def _keep_joined(self, name: str, size: int) -> None:
        with whole(self._note) as unfinished:
            unfinished.write_text(json.dumps([name, size]), encoding="utf-8")
