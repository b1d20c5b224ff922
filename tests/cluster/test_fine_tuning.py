"""Fine-tuning as a task of a cluster: the result and the epochs of one in this process."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from cluster.actors import ActorPlan, ActorSettings, release_actors
from cluster.fine_tuning import FineTuningWork, Heard, fine_tuned, fine_tuned_by_task
from cluster.resources import ClusterResources, Node
from dclf.extraction import ExtractionError
from dclf.extraction.fine_tuning import FineTuningEpoch, FineTuningOptions
from dclf.extraction.text import TextSettings
from tests.dclf.extraction.tiny_encoders import write_encoder


class Silent(FineTuningWork):
    """Ends without a result."""

    def run(self, device: str, heard: Heard) -> Any:
        """Nothing."""


class Threads(FineTuningWork):
    """Tells on how many threads torch computes."""

    def run(self, device: str, heard: Heard) -> Any:
        """The number."""
        return torch.get_num_threads()


class Leaving(FineTuningWork):
    """Ends its thread by leaving Python."""

    def run(self, device: str, heard: Heard) -> Any:
        """Leave."""
        raise SystemExit(3)


class Broken(FineTuningWork):
    """Fails in a way that nobody expects."""

    def run(self, device: str, heard: Heard) -> Any:
        """Fail."""
        raise RuntimeError("the card fell out")


class Dying(FineTuningWork):
    """Is killed before the last epoch, once."""

    def run(self, device: str, heard: Heard) -> TextSettings:
        """Fine-tune, but for that."""
        mark = self.folder.with_name("died")

        def hear(epoch: FineTuningEpoch) -> None:
            if epoch.number == self.options.epochs - 1 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            heard(epoch)

        return super().run(device, hear)


def work_in(kind: type[FineTuningWork], folder: Path) -> FineTuningWork:
    return kind(
        settings=TextSettings(model="any"),
        texts=[],
        labels=[],
        class_count=2,
        folder=folder / "tuned",
        options=FineTuningOptions(epochs=1),
    )


def test_this_process_has_the_threads_of_all_actors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.session.reaches_cluster", lambda *_: False)
    monkeypatch.setattr("cluster.actors.machine_cpus", lambda: 7)
    work = work_in(Threads, tmp_path)
    before = torch.get_num_threads()
    threads = [fine_tuned(work, ActorSettings(actors=n, cpus_per_actor=3), print) for n in (0, 1)]
    assert threads == [6, 3]
    assert torch.get_num_threads() == before


def test_a_cluster_that_python_is_connected_to_fine_tunes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    cluster = ClusterResources(nodes=(Node(cpus=4, gpus=1),), free_cpus=4, free_gpus=0)
    plans: list[ActorPlan] = []
    monkeypatch.setattr("cluster.session.ray.is_initialized", lambda: True)
    monkeypatch.setattr("cluster.session.ray_session", lambda *_, **__: nullcontext(cluster))
    monkeypatch.setattr("cluster.fine_tuning.fine_tuned_by_task", lambda _, plan, *__: plans.append(plan))
    fine_tuned(work_in(Threads, tmp_path), ActorSettings(gpus=1), print)
    (plan,) = plans
    assert plan.device == "cuda"
    assert "fine-tuning: 1 of 1 GPUs are busy" in caplog.text


class Releases(logging.Handler):
    """Ends an actor when a message comes."""

    def __init__(self, actor: Any) -> None:
        super().__init__()
        self._actor = actor

    def emit(self, record: logging.LogRecord) -> None:
        ray.kill(self._actor)


@ray.remote(num_cpus=4)
class Holder:
    """Has all of the cluster's slots."""

    def ready(self) -> None:
        """Return when it has them."""


@pytest.mark.ray
@pytest.mark.slow
def test_a_task_that_waits_for_room_says_so(
    local_ray: ClusterResources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release_actors()  # of earlier tests that failed on purpose
    holder = Holder.remote()  # type: ignore[attr-defined]
    ray.get(holder.ready.remote())
    releases, logger = Releases(holder), logging.getLogger("cluster.waiting")
    monkeypatch.setattr("cluster.waiting.FIRST_S", 0.0)
    monkeypatch.setattr("cluster.fine_tuning.LOOK_SECONDS", 0.1)
    logger.addHandler(releases)
    try:
        with pytest.raises(RuntimeError, match="ended without saying where its result is"):
            fine_tuned_by_task(work_in(Silent, tmp_path), ActorPlan(actors=1), print)
    finally:
        logger.removeHandler(releases)
    assert "fine-tuning needs 1 CPU slot on one machine, the cluster has 4 CPU slots" in caplog.text


@pytest.mark.ray
@pytest.mark.slow
def test_a_task_fine_tunes_as_this_process_does(
    local_ray: ClusterResources, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = write_encoder(tmp_path / "encoder", layers=1)
    work = FineTuningWork(
        settings=TextSettings(model=str(encoder), pooling="mean").resolve(),
        texts=["I like it", "I hate it"] * 8,
        labels=[0, 1] * 8,
        class_count=2,
        folder=tmp_path / "here",
        options=FineTuningOptions(epochs=2, batch_size=4),
    )
    here: list[FineTuningEpoch] = []
    there: list[FineTuningEpoch] = []
    plan = ActorPlan(actors=1)
    expected = work.run("cpu", here.append)
    settings = fine_tuned_by_task(replace(work, folder=tmp_path / "there"), plan, there.append)
    assert settings.fine_tuned == expected.fine_tuned
    assert settings.model == str(tmp_path / "there")
    assert [epoch.number for epoch in there] == [epoch.number for epoch in here] == [1, 2]
    assert [epoch.loss for epoch in there] == pytest.approx([epoch.loss for epoch in here])
    work_of_three = replace(work, options=FineTuningOptions(epochs=3, batch_size=4))
    expected = replace(work_of_three, folder=tmp_path / "three").run("cpu", here.append)
    epochs: list[FineTuningEpoch] = []
    dying = Dying(**vars(replace(work_of_three, folder=tmp_path / "killed" / "tuned")))
    settings = fine_tuned_by_task(dying, plan, epochs.append)
    assert (tmp_path / "killed" / "died").exists()
    assert settings.fine_tuned == expected.fine_tuned
    # What is said of an epoch as its process is lost may be lost with it; no other one is.
    assert epochs[-1].number == 3
    assert epochs[-1].loss == pytest.approx(here[-1].loss)
    assert "a process that fine-tunes was lost" in caplog.text
    with pytest.raises(ExtractionError, match="needs labelled utterances with words in the training split"):
        fine_tuned_by_task(replace(work, texts=[], labels=[]), plan, there.append)
    with pytest.raises(ExtractionError, match=r"^RuntimeError: the card fell out$"):
        fine_tuned_by_task(Broken(**vars(work)), plan, there.append)
    with pytest.raises(RuntimeError, match="ended without saying where its result is"):
        fine_tuned_by_task(Silent(**vars(work)), plan, there.append)
    with pytest.raises(ExtractionError, match="the process that fine-tunes"):
        fine_tuned_by_task(Leaving(**vars(work)), plan, there.append)
