"""Counts trained epochs as the kernel sees them: every epoch that was trained to its end puts a checkpoint in place."""

import ctypes
import os
import select
import struct
from collections import Counter
from pathlib import Path

from dclf.training.checkpoint import STATE_FILE

_MOVED_FROM, _MOVED_TO = 0x40, 0x80
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Saves:
    """How often the checkpoint of each training was put in place, by whatever process.

    Args:
        folder: of a study that is yet to be created; the trainings' folders are made, so that none is missed.
        trials: how many there will be.
        seeds: of each trial.
    """

    def __init__(self, folder: Path, trials: int, seeds: int = 1) -> None:
        self._queue = os.fdopen(_checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)), "rb", buffering=0)
        self._watched: dict[int, tuple[int, int]] = {}
        self._counts: Counter[tuple[int, int]] = Counter()
        for key in ((number, seed) for number in range(trials) for seed in range(seeds)):
            place = folder / "trials" / str(key[0]) / f"s{key[1]}"
            place.mkdir(parents=True)
            # The kernel makes one of equal events in a row, such as two checkpoints with nothing between them; every
            # file that is put in place is moved away from another name first, and that is an event between.
            watch = _checked(_libc.inotify_add_watch(self._queue.fileno(), bytes(place), _MOVED_FROM | _MOVED_TO))
            self._watched[watch] = key

    def counts(self) -> dict[tuple[int, int], int]:
        """(trial, seed) -> epochs trained to their end."""
        while select.select([self._queue], [], [], 0)[0]:
            self._take(os.read(self._queue.fileno(), 1 << 16))
        return dict(self._counts)

    def total(self) -> int:
        return sum(self.counts().values())

    def close(self) -> None:
        self._queue.close()

    def _take(self, events: bytes) -> None:
        place = 0
        while place < len(events):
            watch, mask, _cookie, length = _EVENT.unpack_from(events, place)
            name = events[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0").decode()
            self._counts[self._watched[watch]] += name == STATE_FILE and bool(mask & _MOVED_TO)
            place += _EVENT.size + length


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
