"""What runs in a Ray Train worker: the training loop, over its share of the shards, reporting through Ray Train."""

from __future__ import annotations

from typing import Any

import ray.train
import ray.train.torch
import torch

from cluster.failures import portable
from cluster.storage import load_checkpoint, read_state
from cluster.stream import RaySource
from cluster.temporary import TemporaryFolder
from dclf.config import Config
from dclf.data.reader import read_shards
from dclf.training.batches import MIB
from dclf.training.checkpoint import save
from dclf.training.reports import EpochReport


class RayReporter:
    """A ``dclf.training.source.Reporter``: every epoch becomes a Ray Train report, with a checkpoint from rank 0."""

    def epoch(self, report: EpochReport, state: dict[str, Any]) -> None:
        """Save and report; called by every worker."""
        if ray.train.get_context().get_world_rank() != 0:
            ray.train.report({})
            return
        with TemporaryFolder("checkpoint") as folder:
            save(folder, state)
            ray.train.report(report.to_dict(), checkpoint=ray.train.Checkpoint.from_directory(folder))


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Train as one of the workers.

    Args:
        task: ``config`` as ``Config.to_dict`` gives it, ``resume_from``, a checkpoint's path or URI or None, and
            ``score``, the splits to score at the end.

    Returns:
        The final report as plain data.
    """
    config = Config.from_dict(task["config"])
    try:
        return _work(config, task["resume_from"], task["score"])
    except Exception as error:  # noqa: BLE001 - goes on, fit for the way to the driver
        raise portable(error) from None


def _work(config: Config, resume_from: str | None, score: list[str]) -> dict[str, Any]:
    # The driver imports this module too and can do without the models and scikit-learn, two seconds.
    from dclf.training.loop import train  # noqa: PLC0415

    torch.set_num_threads(config.train.cpus_per_worker)
    if config.train.device == "gpu":
        torch.cuda.set_device(ray.train.torch.get_device())
    context = ray.train.get_context()
    shards = read_shards(config.data.shards)
    source = RaySource(
        shards,
        config.data.modalities,
        rank=context.get_world_rank(),
        size=context.get_world_size(),
        kept_bytes=config.data.cache_mb * MIB,
    )
    return train(config, source, shards, reporter=RayReporter(), state=_state(resume_from), score=score).to_dict()


def _state(resume_from: str | None) -> dict[str, Any] | None:
    """Where to go on: after a restart from this run's last epoch, else from the checkpoint asked for."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        return read_state(checkpoint)
    return None if resume_from is None else load_checkpoint(resume_from)
