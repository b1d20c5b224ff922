"""A growing file kept in a store whose objects cannot grow: as segments, an object for every stretch of bytes.

A segment's name says where it begins and ends and which driver's turn it is from, such as
``000000000000-000000000512-1700000000000``; every driver that takes the study over has a later turn than any before it,
see ``tune.study.claims``. The first segment of a turn holds the whole file, and the file is the segments of the latest
turn, one behind the other: whatever a driver that was thought lost still uploads or deletes is of its own turn, and has
no part in the file.

Every ``MERGED`` segments become one, and so do as many of those: a file of n appends is a few times log n objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from dclf.data.storage import Folder
from tune.config.local_files import whole

MERGED = 32
_NAME = re.compile(r"(\d{12})-(\d{12})-(\d{13})")
_AT_A_TIME = 16


@dataclass(frozen=True, order=True)
class Segment:
    """One stretch of the file.

    Attributes:
        start: its first byte.
        end: the byte behind its last.
        turn: of the driver that uploaded it.
    """

    start: int
    end: int
    turn: int

    @property
    def name(self) -> str:
        """The object's."""
        return f"{self.start:012}-{self.end:012}-{self.turn:013}"

    @classmethod
    def of(cls, name: str) -> Segment | None:
        """The inverse of ``name``; None for any other object."""
        found = _NAME.fullmatch(name)
        return None if found is None else cls(*map(int, found.groups()))


def chain(found: Iterable[Segment]) -> list[Segment]:
    """The segments that make up the file, in order."""
    known = list(found)
    turn = max((segment.turn for segment in known), default=0)
    longest: dict[int, Segment] = {}
    # Of two that begin at the same place the longer one merges others, which may not have been deleted yet.
    for segment in sorted(segment for segment in known if segment.turn == turn):
        longest[segment.start] = segment
    made: list[Segment] = []
    place = longest.get(0)
    while place is not None:
        made.append(place)
        place = longest.get(place.end)
    return made


class SegmentedFile:
    """A local file that only grows, and its segments.

    Args:
        local: the file; created by ``pull`` where there are segments.
        remote: folder of the segments.
        merged: how many segments become one.
    """

    def __init__(self, local: Path, remote: Folder, merged: int = MERGED) -> None:
        self._local = local
        self._merged = merged
        self._remote = remote
        self._chain: list[Segment] = []
        self._levels: list[int] = []  # of the segments behind the turn's first one
        self._note = local.with_name(f".{local.name}.sent")

    @property
    def turn(self) -> int:
        """The turn that the segments are from; 0 where there are none."""
        return self._chain[-1].turn if self._chain else 0

    @property
    def unsent(self) -> int:
        """Bytes of whole lines that are not uploaded."""
        return len(self._tail())

    def pull(self, names: Iterable[str]) -> Path | None:
        """Bring the local file up to date; what it has beyond the segments stays, to be uploaded.

        Args:
            names: of the objects in the folder.

        Returns:
            The file in which a stretch was set aside that another driver has overtaken; None where there was none.
        """
        self._chain = chain(segment for name in names if (segment := Segment.of(name)) is not None)
        self._levels = []
        end, turn = self._known()
        start = next((s.start for s in self._chain if s.end > end or s.turn != turn), self._end)
        wanted = [segment for segment in self._chain if segment.start >= start]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            content = b"".join(pool.map(lambda segment: self._remote.read_bytes(segment.name), wanted))
        aside = self._take(start, content)
        self._keep_known()
        return aside

    def push(self, turn: int) -> int:
        """Upload what was appended, up to the last whole line; how many bytes that was."""
        content = self._tail()
        if not content:
            return 0
        if turn == self.turn:
            self._append(Segment(self._end, self._end + len(content), turn), content)
            self._merge()
        else:
            self._begin(turn, self._end + len(content))
        self._keep_known()
        return len(content)

    @property
    def _end(self) -> int:
        return self._chain[-1].end if self._chain else 0

    def _tail(self) -> bytes:
        if not self._local.exists() or self._local.stat().st_size <= self._end:
            return b""
        content = self._between(self._end, None)
        return content[: content.rfind(b"\n") + 1]

    def _between(self, start: int, end: int | None) -> bytes:
        with self._local.open("rb") as file:
            file.seek(start)
            return file.read() if end is None else file.read(end - start)

    def _take(self, start: int, content: bytes) -> Path | None:
        """Write what was read where the local file lacks it, or differs."""
        own = self._between(start, start + len(content)) if self._local.exists() else b""
        if own == content[: len(own)]:
            with self._local.open("ab") as file:
                file.write(content[len(own) :])
            return None
        differs = next((place for place, pair in enumerate(zip(own, content, strict=False)) if pair[0] != pair[1]), 0)
        agreed = content.rfind(b"\n", 0, differs) + 1
        aside = self._local.with_name(f"{self._local.name}.overtaken-{time_ns()}")
        aside.write_bytes(self._between(start + agreed, None))
        with self._local.open("r+b") as file:
            file.truncate(start)
            file.seek(start)
            file.write(content)
        return aside

    def _begin(self, turn: int, end: int) -> None:
        """Upload the whole file as the first segment of a turn, and delete what it replaces."""
        first = Segment(0, end, turn)
        self._remote.write_bytes(first.name, self._between(0, end))
        earlier, self._chain = self._chain, [first]
        for segment in earlier:
            self._remote.delete(segment.name)

    def _append(self, segment: Segment, content: bytes) -> None:
        self._remote.write_bytes(segment.name, content)
        self._chain.append(segment)
        self._levels.append(0)

    def _merge(self) -> None:
        """Make one of the last segments while there are enough of a level; the turn's first one is never among them."""
        count = self._merged
        while len(self._levels) >= count and len(set(self._levels[-count:])) == 1:
            parts = self._chain[-count:]
            whole = Segment(parts[0].start, parts[-1].end, parts[-1].turn)
            self._remote.write_bytes(whole.name, self._between(whole.start, whole.end))
            self._chain[-count:] = [whole]
            self._levels[-count:] = [self._levels[-1] + 1]
            for part in parts:
                self._remote.delete(part.name)

    def _known(self) -> tuple[int, int]:
        """Up to which byte the local file is known to agree with segments, and up to which turn."""
        try:
            end, turn = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0, 0
        agrees = self._local.exists() and self._local.stat().st_size >= end
        return (end, turn) if agrees else (0, 0)

    def _keep_known(self) -> None:
        with whole(self._note) as unfinished:
            unfinished.write_text(json.dumps([self._end, self.turn]), encoding="utf-8")
