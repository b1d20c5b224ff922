"""What the driver hears of failures, and which of them end a run."""

from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from cluster.controller import Announcer
from cluster.events import Inbox
from cluster.failures import TrainingError

SHAPE = RuntimeError("mat1 and mat2 shapes cannot be multiplied (8x3 and 4x2)")


def test_an_error_that_comes_again_ends_the_run_unless_an_epoch_was_finished_in_between() -> None:
    heard: list[tuple[str, Any]] = []
    with Inbox(lambda kind, body: heard.append((kind, body))) as inbox:
        announcer = Announcer(inbox.sender, -1)
        announcer.after_exception(None, {0: SHAPE})
        announcer.after_report(None, [{"epoch": 1}], None)
        announcer.after_exception(None, {0: SHAPE})
        announcer.after_exception(None, {0: RuntimeError("Connection closed by peer [127.0.0.1]:4001")})
        announcer.after_exception(None, {0: RuntimeError("Connection closed by peer [127.0.0.1]:4002")})
        for _ in range(3):
            announcer.after_exception(None, {0: SHAPE, 1: ActorDiedError()})
        announcer.after_exception(None, {1: SHAPE})
        with pytest.raises(TrainingError, match=r"before and after a restart.*mat1 and mat2 shapes"):
            announcer.after_exception(None, {0: SHAPE})
    restarts = [("restart", number) for number in range(1, 9)]
    assert heard == [restarts[0], ("epoch", {"epoch": 1}), *restarts[1:]]
