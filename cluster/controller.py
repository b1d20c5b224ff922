"""What runs in Ray Train's controller: it tells the driver how the run goes and stops what a restart cannot cure.

``GroupSender`` derives from a private class of Ray's, ``ray.train.v2._internal.execution.callback.ControllerCallback``:
the public ``UserCallback`` hears of reports and failures alone, not of the controller's start or of how many workers it
starts next. A new release of Ray may change it.
"""

from __future__ import annotations

import base64
from typing import Any

import ray
from ray import cloudpickle
from ray.train import UserCallback
from ray.train.v2._internal.execution.callback import ControllerCallback

from cluster.events import Sender
from cluster.failures import lasting_error, own_errors, repeated_error


class Announcer(UserCallback):
    """Sends ``epoch`` for every report and ``restart`` before every restart.

    Args:
        sender: the way to the driver.
        max_failures: restarts that Ray Train will make; -1 for no limit.
    """

    def __init__(self, sender: Sender, max_failures: int) -> None:
        self._sender = sender
        self._max_failures = max_failures
        self._failures = 0
        self._before: frozenset[str] = frozenset()

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:  # noqa: ARG002
        """Pass on the epoch of rank 0."""
        self._before = frozenset()
        self._sender.send("epoch", metrics[0])

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ARG002
        """Count a failure; raising here ends the run, where Ray Train would try the same again."""
        lasting = lasting_error(worker_exceptions.values())
        if lasting is not None:
            raise lasting
        own = own_errors(worker_exceptions.values())
        if repeated := own & self._before:
            raise repeated_error(repeated)
        self._before = own
        self._failures += 1
        if self._max_failures < 0 or self._failures <= self._max_failures:
            self._sender.send("restart", self._failures)


class GroupSender(ControllerCallback):
    """Sends ``controller``, the actor's own handle, so that the driver can end the run, and ``workers``, their number.

    Ray Train itself ends a run on SIGINT only, only from the main thread, and then tells nobody.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def after_controller_start(self, train_run_context: Any) -> None:  # noqa: ARG002
        """Pass on the handle."""
        handle: bytes = cloudpickle.dumps(ray.get_runtime_context().current_actor)  # type: ignore[no-untyped-call]
        self._sender.send("controller", base64.b64encode(handle).decode())

    def before_controller_execute_resize_decision(self, resize_decision: Any) -> None:
        """Pass on how many workers are about to be started."""
        self._sender.send("workers", resize_decision.num_workers)


def handle_from(body: str) -> Any:
    """The actor handle in a ``controller`` message."""
    return cloudpickle.loads(base64.b64decode(body))
