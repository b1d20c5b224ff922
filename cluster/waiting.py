"""Says, seldom, that work waits for room on the cluster: Ray itself would wait for ever without a word."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from cluster.resources import ClusterResources, cluster_resources

FIRST_S = 60.0
"""Seconds of waiting before the first warning."""
AGAIN_S = 600.0
"""Seconds between warnings."""
_log = logging.getLogger(__name__)


class Waiting:
    """Watches whether work goes on.

    Args:
        needs: what the work waits for, in words.
        resources: returns what the cluster has.
        clock: returns seconds.
    """

    def __init__(
        self,
        needs: str,
        resources: Callable[[], ClusterResources] = cluster_resources,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._needs = needs
        self._resources = resources
        self._clock = clock
        self.goes_on()

    def goes_on(self) -> None:
        """Reset the timer: work is running."""
        self._since = self._clock()
        self._due = self._since + FIRST_S

    def look(self) -> None:
        """Warn if nothing has run for long."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + AGAIN_S
        _log.warning(
            f"nothing has run for {now - self._since:.0f} s: {self._needs}, the cluster has "
            f"{self._resources().describe()}; the work goes on when there is room (`ray status`)"
        )
