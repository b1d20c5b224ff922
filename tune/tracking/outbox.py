"""Sends a run's writes in the background and in order, so that a slow or lost server costs no training.

While the server is away the writes wait in memory and in the spool's file, and are tried again with growing pauses.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tune.tracking.spool import Spool
from tune.tracking.trouble import cause_of, may_pass
from tune.tracking.writes import Write

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
_log = logging.getLogger(__name__)


class Outbox:
    """A queue of writes and the thread that sends them.

    Args:
        send: sends one write or raises.
        spool: where unsent writes are kept; None where somebody else can make them again.
    """

    def __init__(self, send: Callable[[Write], None], spool: Spool | None) -> None:
        self.problems: list[str] = []
        self._send = send
        self._spool = spool
        self._queue: deque[Write] = deque()
        self._changed = threading.Condition()
        self._away = False
        self._hurry = False
        self._stopped = False
        self._pause_s = FIRST_PAUSE_S
        self._thread = threading.Thread(target=self._run, daemon=True, name="dclf-tracking-outbox")
        self._thread.start()

    def put(self, write: Write) -> None:
        """Queue a write; returns at once."""
        with self._changed:
            self._queue.append(write)
            if self._away:
                self._keep(lambda spool: spool.append(write))
            self._changed.notify_all()

    def flush(self, timeout_s: float, *, patient: bool = False) -> bool:
        """Wait until everything is sent; False when the time was not enough.

        Args:
            timeout_s: the time.
            patient: it begins anew with every write that is sent, for a server that is slow and not lost.
        """
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            if patient:
                while self._queue and self._shrinks(timeout_s):
                    pass
            else:
                self._changed.wait_for(lambda: not self._queue, timeout_s)
            self._hurry = False
            return not self._queue

    def _shrinks(self, timeout_s: float) -> bool:
        before = len(self._queue)
        return self._changed.wait_for(lambda: len(self._queue) < before, timeout_s)

    def close(self, timeout_s: float, *, patient: bool = False) -> Path | None:
        """Flush and end the thread; the spool's file when something is left in it, else None.

        Where flushing is interrupted, what is left is in the file before that goes on.
        """
        success = False
        try:
            success = self.flush(timeout_s, patient=patient)
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
                if not success:
                    self._keep(lambda spool: spool.write(self._queue))
        if not success:
            return None if self._spool is None else self._spool.path
        self._thread.join()
        if self._spool is not None:
            self._spool.remove()
        return None

    def _run(self) -> None:
        while (write := self._next()) is not None:
            try:
                self._send(write)
            except Exception as error:  # noqa: BLE001 - a failed write must never stop training; it is told
                if may_pass(error):
                    self._wait_for_server(error)
                    continue
                self._refuse(write, error)
            self._drop_first()

    def _next(self) -> Write | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopped)
            return None if self._stopped else self._queue[0]

    def _drop_first(self) -> None:
        with self._changed:
            if self._stopped:  # close() has written the spool; what it says is not changed behind its back
                return
            self._queue.popleft()
            self._pause_s = FIRST_PAUSE_S
            back = self._away and not self._queue
            if back:
                self._away = False
                self._keep(Spool.forget_writes)
            self._changed.notify_all()
        if back:
            _log.warning("MLflow answers again; everything that waited has been sent")

    def _wait_for_server(self, error: Exception) -> None:
        with self._changed:
            news = not self._away and not self._stopped
            if news:
                self._away = True
                self._keep(lambda spool: spool.write(self._queue))
        if news:
            _log.warning(f"MLflow does not answer ({cause_of(error)}); training goes on, and its records are kept")
        with self._changed:
            pause = FIRST_PAUSE_S if self._hurry else self._pause_s
            self._changed.wait_for(lambda: self._stopped or (self._hurry and pause > FIRST_PAUSE_S), pause)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _refuse(self, write: Write, error: Exception) -> None:
        self._report(f"MLflow refused {write.kind} of this run: {cause_of(error)}")

    def _keep(self, save: Callable[[Spool], None]) -> None:
        """Save unsent writes; a full disk is no reason to stop training either."""
        if self._spool is None:
            return
        try:
            save(self._spool)
        except OSError as error:
            self._report(f"unsent MLflow records cannot be kept in {self._spool.folder} ({cause_of(error)})")

    def _report(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
            _log.warning(problem)
