"""Work on models over Ray Data's actors and in this process: the same messages, and failures that name the model."""

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.actors import ActorPlan, ActorSettings
from cluster.model_actors import ModelError, ModelJob, work_here, work_on_actors, work_on_models
from cluster.plan import PlanError
from cluster.resources import ClusterResources
from tests.tune.tracking.server import wait_until

JOBS = [ModelJob(name=f"model {number}", body={"number": number}) for number in range(5)]


@dataclass(frozen=True)
class Count:
    """Says three things of every model; one model may fail or take its process with it."""

    failing: int = -1
    deadly: int = -1
    heard: Path = Path()

    def __call__(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for step in range(3):
            yield {"number": body["number"], "step": step}
            if step == 1 and body["number"] == self.failing:
                raise ValueError("no such layer\nand more")
            if step == 1 and body["number"] == self.deadly:
                # What an actor says just before it is lost may be lost with it, and which model it was.
                wait_until(self.heard.exists, 30)
                os.kill(os.getpid(), signal.SIGKILL)


def steps_of(messages: Iterator[tuple[ModelJob, Mapping[str, Any]]]) -> dict[str, list[int]]:
    """Name of a model -> its steps in the order of arrival."""
    steps: dict[str, list[int]] = {}
    for job, message in messages:
        assert job.body["number"] == message["number"]
        steps.setdefault(job.name, []).append(message["step"])
    return steps


ALL = {job.name: [0, 1, 2] for job in JOBS}


def test_one_model_on_a_gpu_goes_to_the_cluster_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def joined(*_: object, **__: object) -> None:
        raise ConnectionError("the cluster is joined")

    monkeypatch.setattr("cluster.session.reaches_cluster", lambda _address: True)
    monkeypatch.setattr("cluster.session.ray_session", joined)
    with pytest.raises(ConnectionError, match="is joined"):
        next(work_on_models(lambda _: Count(), JOBS[:1], ActorSettings(gpus=1.0), lambda _: None))


@pytest.mark.ray
@pytest.mark.slow
def test_actors_say_what_this_process_says(local_ray: ClusterResources) -> None:
    assert steps_of(work_on_actors(Count(), JOBS, ActorPlan(actors=2))) == ALL
    assert steps_of(work_here(Count(), JOBS)) == ALL


@pytest.mark.ray
@pytest.mark.slow
def test_a_failing_model_is_named_and_the_rest_is_ended(local_ray: ClusterResources) -> None:
    with pytest.raises(ModelError, match=r"^model 1: ValueError: no such layer and more$"):
        steps_of(work_on_actors(Count(failing=1), JOBS, ActorPlan(actors=2)))
    assert steps_of(work_on_actors(Count(), JOBS[:2], ActorPlan(actors=2))) == {
        "model 0": [0, 1, 2],
        "model 1": [0, 1, 2],
    }


@pytest.mark.ray
@pytest.mark.slow
def test_a_lost_actor_is_told_with_its_model_and_not_tried_again(local_ray: ClusterResources, tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []

    def listen() -> None:
        for job, message in work_on_actors(Count(deadly=2, heard=tmp_path / "heard"), JOBS, ActorPlan(actors=1)):
            heard.append((job.name, message["step"]))
            if job.name == "model 2":
                (tmp_path / "heard").touch()

    with pytest.raises(ModelError, match=r"^model 2: the process that worked on it was lost .*fewer at a time"):
        listen()
    assert heard[:6] == [(name, step) for name in ("model 0", "model 1") for step in range(3)]
    assert heard[6:] in ([("model 2", 0)], [("model 2", 0), ("model 2", 1)])


def test_a_failing_model_is_named_in_this_process_too() -> None:
    with pytest.raises(ModelError, match=r"^model 3: ValueError: no such layer and more$"):
        steps_of(work_here(Count(failing=3), JOBS))


def test_one_model_needs_no_ray() -> None:
    lines: list[str] = []
    devices: list[str] = []

    def count_on(device: str) -> Count:
        devices.append(device)
        return Count()

    assert steps_of(work_on_models(count_on, JOBS[:1], ActorSettings(), lines.extend)) == {"model 0": [0, 1, 2]}
    assert steps_of(work_on_models(count_on, JOBS, ActorSettings(actors=1), lines.extend)) == ALL
    assert (lines, devices) == (["one model at a time, in this process"] * 2, ["cpu", "cpu"])


def test_a_layout_that_does_not_fit_is_refused_before_anything_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.actors.machine_gpus", lambda: 0)
    lines: list[str] = []
    with pytest.raises(PlanError, match="the cluster has none"):
        steps_of(work_on_models(lambda _device: Count(), JOBS, ActorSettings(gpus=0.5, actors=1), lines.extend))
    assert lines == []
