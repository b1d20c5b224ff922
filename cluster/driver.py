"""The driver's side of a running training: hears of epochs, and ends the workers when it is interrupted."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError
from ray.train import TrainingFailedError
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.train.v2.api.result import Result

from cluster.controller import handle_from
from cluster.events import Inbox, Sender
from cluster.failures import explained
from cluster.waiting import Waiting
from dclf.training.reports import EpochReport

ABORT_SECONDS = 10.0
START_SECONDS = 30.0
"""How long the controller's process may take to start and say who it is, where it is to be ended."""
LOOK_SECONDS = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hooks:
    """What the caller wants to hear, in its own thread: finished epochs, restarts so far, and numbers of workers."""

    epoch: Callable[[EpochReport], None]
    restart: Callable[[int], None]
    workers: Callable[[int], None]


class Driver:
    """Runs a trainer in a thread, so that the calling one can hear of epochs and be interrupted.

    Ray Train's own ``fit`` does neither: it blocks, takes SIGINT for itself and leaves SIGTERM to Ray.

    Args:
        hooks: what the caller wants to hear.
        needs: what the fewest workers need of the cluster, in words.

    Attributes:
        restarts: how often lost workers were replaced so far.
    """

    def __init__(self, hooks: Hooks, needs: str) -> None:
        self.restarts = 0
        self._waiting = Waiting(needs)
        self._waits = False
        self._hooks = hooks
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._controller: Any = None
        self._workers = 0

    def run(self, make: Callable[[Sender], DataParallelTrainer]) -> Result:
        """Build the trainer, given the way back to here, and fit it.

        Raises:
            TrainingError: workers were lost too often or could not be started.
            BaseException: what a worker or a hook raised, or an interrupt; the workers have been ended.
        """
        with Inbox(lambda kind, body: self._events.put((kind, body))) as inbox:
            thread = threading.Thread(target=self._fit, args=(make(inbox.sender), inbox), name="dclf-fit", daemon=True)
            try:
                thread.start()
                return self._listen()
            except BaseException:
                self._abort(thread)
                raise

    def _fit(self, trainer: DataParallelTrainer, inbox: Inbox) -> None:
        try:
            outcome: tuple[str, Any] = ("finished", trainer.fit())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            outcome = ("failed", error)
        inbox.close()
        self._events.put(outcome)

    def _listen(self) -> Result:
        while True:
            try:
                kind, body = self._events.get(timeout=LOOK_SECONDS if self._waits else None)
            except queue.Empty:
                self._waiting.look()
                continue
            if kind == "finished":
                result: Result = body
                return result
            self._hear(kind, body)

    def _hear(self, kind: str, body: Any) -> None:
        if kind == "failed":
            raise explained(body, self.restarts) if isinstance(body, TrainingFailedError | RayActorError) else body
        if kind == "controller":
            self._controller = handle_from(body)
        elif kind == "restart":
            self.restarts = body
            # An elastic training for which too few workers are left says nothing until there are enough.
            self._waits = True
            self._waiting.goes_on()
            self._hooks.restart(body)
        elif kind == "workers":
            self._waits = False
            self._resized(body)
        else:
            self._waits = False
            self._hooks.epoch(EpochReport(**body))

    def _resized(self, workers: int) -> None:
        """Report the number of workers where it has changed."""
        before, self._workers = self._workers, workers
        if before not in (0, workers):
            self._hooks.workers(workers)

    def _abort(self, thread: threading.Thread) -> None:
        """End the workers if the run still goes on; one that is only being started is waited for."""
        if not self._has_controller(thread):
            return
        try:
            with suppress(RayError):
                ray.get(self._controller.abort.remote(), timeout=ABORT_SECONDS)
        finally:
            # Also when a second interrupt does not wait for the first one's end.
            with suppress(RayError):
                ray.kill(self._controller)
        thread.join(ABORT_SECONDS)

    def _has_controller(self, thread: threading.Thread) -> bool:
        """Whether the run goes on and its controller is known; waits ``START_SECONDS`` at most for the controller."""
        limit = time.monotonic() + START_SECONDS
        while self._controller is None and thread.is_alive():
            try:
                kind, body = self._events.get(timeout=max(0.0, limit - time.monotonic()))
            except queue.Empty:
                _log.warning("the training could not be ended and may go on; ray.shutdown() ends it")
                return False
            if kind == "controller":
                self._controller = handle_from(body)
            elif kind in ("finished", "failed"):
                return False
        return thread.is_alive()
