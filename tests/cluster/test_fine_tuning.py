"""Fine-tuning as a task of a cluster: the result and the epochs of one in this process."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.extraction_plan import ExtractionActors, ExtractionPlan
from cluster.fine_tuning import FineTuningWork, Heard, fine_tuned, fine_tuned_by_task
from cluster.resources import ClusterResources
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


def test_this_process_has_the_threads_of_all_actors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("cluster.extraction_plan.machine_cpus", lambda: 7)
    work = Threads(
        settings=TextSettings(model="any"),
        texts=[],
        labels=[],
        class_count=2,
        folder=tmp_path / "tuned",
        options=FineTuningOptions(epochs=1),
    )
    before = torch.get_num_threads()
    threads = [fine_tuned(work, ExtractionActors(actors=n, cpus_per_actor=3), print) for n in (0, 1)]
    assert threads == [6, 3]
    assert torch.get_num_threads() == before


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
    plan = ExtractionPlan(actors=1)
    expected = fine_tuned(work, ExtractionActors(), here.append)
    settings = fine_tuned_by_task(replace(work, folder=tmp_path / "there"), plan, there.append)
    assert settings.fine_tuned == expected.fine_tuned
    assert settings.model == str(tmp_path / "there")
    assert [epoch.number for epoch in there] == [epoch.number for epoch in here] == [1, 2]
    assert [epoch.loss for epoch in there] == pytest.approx([epoch.loss for epoch in here])
    work_of_three = replace(work, options=FineTuningOptions(epochs=3, batch_size=4))
    expected = fine_tuned(replace(work_of_three, folder=tmp_path / "three"), ExtractionActors(), here.append)
    told: list[FineTuningEpoch] = []
    dying = Dying(**vars(replace(work_of_three, folder=tmp_path / "killed" / "tuned")))
    settings = fine_tuned_by_task(dying, plan, told.append)
    assert (tmp_path / "killed" / "died").exists()
    assert settings.fine_tuned == expected.fine_tuned
    # What is said of an epoch as its process is lost may be lost with it; no other one is.
    assert told[-1].number == 3
    assert told[-1].loss == pytest.approx(here[-1].loss)
    assert "a process that fine-tunes was lost" in caplog.text
    with pytest.raises(ExtractionError, match="needs labelled utterances with words in the training split"):
        fine_tuned_by_task(replace(work, texts=[], labels=[]), plan, there.append)
    with pytest.raises(RuntimeError, match="ended without saying where its result is"):
        fine_tuned_by_task(Silent(**vars(work)), plan, there.append)
    with pytest.raises(ExtractionError, match="the process that fine-tunes"):
        fine_tuned_by_task(Leaving(**vars(work)), plan, there.append)
