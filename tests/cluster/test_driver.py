import base64
import threading
from typing import Any

import pytest
import ray
from ray import cloudpickle

from cluster.driver import Driver, Hooks
from cluster.events import Sender
from cluster.resources import ClusterResources

NEEDS = "2 workers must fit"


class Leaving:
    """A trainer that ends its thread in the way that only ``BaseException`` catches."""

    def fit(self) -> Any:
        raise SystemExit("a library has had enough")


class Controller:
    """Trains until it is aborted."""

    def __init__(self) -> None:
        self._aborted = threading.Event()

    def run(self) -> None:
        self._aborted.wait()

    def abort(self) -> None:
        self._aborted.set()
        ray.actor.exit_actor()


class Starting:
    """A trainer whose controller is there only after the driver was interrupted."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self.interrupted = threading.Event()
        self.ended = threading.Event()

    def fit(self) -> Any:
        for workers in (1, 2):
            self._sender.send("workers", workers)
        self.interrupted.wait()
        controller = ray.remote(num_cpus=0, max_concurrency=2)(Controller).remote()
        self._sender.send("controller", base64.b64encode(cloudpickle.dumps(controller)).decode())
        try:
            ray.get(controller.run.remote())
        finally:
            self.ended.set()


class Shrunk:
    """An elastic trainer whose cluster has lost a node."""

    def __init__(self, sender: Sender, notice: threading.Event) -> None:
        self._sender = sender
        self._notice = notice

    def fit(self) -> Any:
        self._sender.send("restart", 1)
        assert self._notice.wait(20)
        self._sender.send("workers", 1)
        return "the result"


@pytest.mark.timeout(30)
def test_a_training_that_too_few_workers_are_left_for_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    notice = threading.Event()

    class Watch:
        """Stands for the watch over waiting work."""

        def __init__(self, needs: str) -> None:
            assert needs == NEEDS

        def goes_on(self) -> None:
            assert not notice.is_set()

        def look(self) -> None:
            notice.set()

    monkeypatch.setattr("cluster.driver.Waiting", Watch)
    monkeypatch.setattr("cluster.driver.LOOK_SECONDS", 0.01)
    driver = Driver(Hooks(*[lambda _: None] * 3), NEEDS)
    result: Any = driver.run(lambda sender: Shrunk(sender, notice))  # type: ignore[arg-type,return-value]
    assert result == "the result"


@pytest.mark.timeout(30)
def test_whatever_ends_the_fit_is_raised_where_somebody_waits() -> None:
    hooks = Hooks(*[lambda _: None] * 3)
    with pytest.raises(SystemExit, match="had enough"):
        Driver(hooks, NEEDS).run(lambda _: Leaving())  # type: ignore[arg-type,return-value]


@pytest.mark.ray
@pytest.mark.timeout(120)
def test_an_interrupt_while_the_controller_starts_ends_it_all_the_same(local_ray: ClusterResources) -> None:
    trainers: list[Starting] = []

    def make(sender: Sender) -> Any:
        trainers.append(Starting(sender))
        return trainers[0]

    def interrupt(_: int) -> None:
        trainers[0].interrupted.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Driver(Hooks(lambda _: None, lambda _: None, interrupt), NEEDS).run(make)
    assert trainers[0].ended.is_set()
