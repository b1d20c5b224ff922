import pytest

from cluster.resources import ClusterResources, Node
from cluster.waiting import AGAIN_S, FIRST_S, Waiting


def test_work_that_waits_says_so_after_a_while_and_seldom(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    left = ClusterResources(nodes=(Node(cpus=4.0, gpus=1.0),), free_cpus=3.0)
    waiting = Waiting("a trial needs 8 CPU on one machine", lambda: left, lambda: now[0])
    now[0] += FIRST_S - 1
    waiting.look()
    waiting.goes_on()
    now[0] += FIRST_S - 1
    waiting.look()
    assert not caplog.messages
    now[0] += 2
    waiting.look()
    waiting.look()
    (message,) = caplog.messages
    assert message == (
        "nothing has run for 61 s: a trial needs 8 CPU on one machine, the cluster has 4 CPU slots and 1 GPU on "
        "1 machine, 3 of the CPU slots free; the work goes on when there is room (`ray status`)"
    )
    now[0] += AGAIN_S
    waiting.look()
    assert len(caplog.messages) == 2
