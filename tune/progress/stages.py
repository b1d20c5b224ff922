"""How long the stages of a start take: what is read, Ray, MLflow, and what passes until the first batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

from tune.study.events import FIRST_BATCH, EpochEnded, Event, Listener, StageEnded, TrialEpoch, send

T = TypeVar("T")
SHARDS, RAY, MLFLOW = "shards", "Ray", "MLflow"


class StartClock:
    """Measures the stages of one start, and tells listeners of them in the thread that does the work.

    It is a listener itself, the first one: the first epoch says when its own first batch was due.

    Args:
        now: seconds, monotonic.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._stages: dict[str, float] = {}
        self._listeners: Sequence[Listener] = ()
        self._wait_start: float | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what happens inside the ``with``, in whatever thread; nothing where it fails."""
        began = self._now()
        yield
        self._stages[name] = self._now() - began

    @contextmanager
    def entering(self, name: str, context: AbstractContextManager[T]) -> Iterator[T]:
        """Enter a context, and measure how long that takes, not what is done in it."""
        with ExitStack() as stack:
            with self.stage(name):
                value = stack.enter_context(context)
            yield value

    def tell(self, listeners: Sequence[Listener]) -> None:
        """Send the stages so far, in the order in which they ended, and wait for the first epoch."""
        for name, seconds in self._stages.items():
            send(StageEnded(name, seconds), listeners)
        self._listeners, self._wait_start = listeners, self._now()

    def __call__(self, event: Event) -> None:
        """At the first epoch, send how long it took to get to its first batch."""
        if self._wait_start is None or not isinstance(event, EpochEnded | TrialEpoch):
            return
        seconds, self._wait_start = self._now() - self._wait_start - event.report.seconds, None
        send(StageEnded(FIRST_BATCH, max(seconds, 0.0)), self._listeners)
