"""How far a part of an extraction is, and how fast it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tune.study.events import ExtractionProgress, Listener, send

EVERY_SECONDS = 1.0
"""Between two events."""


class ExtractionCounter:
    """Counts what is done, and tells listeners of it now and then.

    The rate is that since the first of it was done: before, processes start and encoders are read.

    Args:
        part: what is counted, see ``ExtractionProgress``.
        total: in all.
        listeners: hear of it.
        cached: that were in the cache.
        done: before, these among it.
        now: seconds, monotonic.
    """

    def __init__(
        self,
        part: str,
        total: int,
        listeners: Sequence[Listener],
        cached: int = 0,
        done: int = 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._part, self._total, self._cached = part, total, cached
        self._listeners, self._now = listeners, now
        self._done = done
        self._first: tuple[float, int] | None = None
        self._last_time = now()

    def add(self, count: int = 1) -> None:
        """Count what is done besides."""
        self._done += count
        now = self._now()
        self._first = self._first or (now, self._done)
        if self._done < self._total and now - self._last_time < EVERY_SECONDS:
            return
        self._last_time = now
        start, before = self._first
        rate = (self._done - before) / (now - start) if now > start else 0.0
        send(ExtractionProgress(self._part, self._done, self._total, self._cached, rate), self._listeners)
