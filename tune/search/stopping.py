"""When a sweep has had enough."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tune.config.durations import parse_duration
from tune.config.sweep_settings import SweepSettings


class StopRule:
    """Says when no further trials are to be created.

    Args:
        settings: the budget and the goals.
        size: how many trials there can be at most; None for no bound.

    Raises:
        ValueError: the time cannot be read.
    """

    def __init__(self, settings: SweepSettings, size: int | None = None) -> None:
        self._settings = settings
        self._seconds = parse_duration(settings.time) if settings.time else math.inf
        self._size = size
        self._sign = -1.0 if settings.minimizes else 1.0

    def reason(self, finished_values: Sequence[float], elapsed_s: float, created: int) -> str | None:
        """Why to stop, in words, or None to go on.

        Args:
            finished_values: first objective of every trial that ended complete or pruned, in the order of their ends.
            elapsed_s: seconds that the sweep has run, over all resumptions.
            created: trials created so far, whatever became of them.
        """
        settings = self._settings
        if settings.trials and created >= settings.trials:
            return f"all {settings.trials} trials are created"
        if self._size is not None and created >= self._size:
            return f"all {self._size} combinations are created"
        if elapsed_s >= self._seconds:
            return f"the time of {settings.time} is up"
        return self._goal(finished_values)

    def _goal(self, finished: Sequence[float]) -> str | None:
        stop_at, after = self._settings.stop_at, self._settings.stop_after
        signed = [self._sign * value for value in finished]
        best = max((value for value in signed if not math.isnan(value)), default=None)
        if stop_at is not None and best is not None and best >= self._sign * stop_at:
            return f"a trial reached {self._sign * best:.4g}, the goal was {stop_at:g}"
        # A study of failures only has no best trial; every one of them counts as no better.
        since = len(signed) - (signed.index(best) + 1 if best is not None else 0)
        if after and since >= after:
            return f"no better trial among the last {since}"
        return None
