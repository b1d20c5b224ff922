"""Training on Ray Train: one worker or many, fixed or elastic, on CPU or GPU, restarted when a worker is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ray.train.v2.api.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.train.v2.torch.torch_trainer import TorchTrainer

from cluster.controller import Announcer, GroupSender
from cluster.driver import Driver, Hooks
from cluster.elastic import ElasticTorchTrainer
from cluster.events import Sender
from cluster.plan import CHECKPOINTS_KEPT, TrainingPlan, plan_training
from cluster.resources import cluster_resources
from cluster.signals import Terminated, termination_raises
from cluster.storage import checked_storage
from cluster.worker import work
from dclf.config import Config
from dclf.data.storage import Folder, absolute, place_below
from dclf.modalities import SCORED_SPLITS
from dclf.prose import quantity
from dclf.training.reports import EpochReport, FinalReport

__all__ = ["Terminated", "TrainingOutcome", "train_on_ray"]

START_ATTEMPTS = 3
"""How often Ray Train may fail to start the workers, a minute each, before the run is given up."""
RESIZE_SECONDS = 60.0
"""How often an elastic run looks for slots that came or went; taking them up repeats the running epoch."""


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """A finished training.

    Attributes:
        final: its history and scores.
        checkpoint: path or URI of the last epoch's checkpoint.
    """

    final: FinalReport
    checkpoint: str


def train_on_ray(
    config: Config,
    *,
    run_name: str,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_restart: Callable[[int], None] | None = None,
    on_workers: Callable[[int], None] | None = None,
    resume_from: str | None = None,
    score: Sequence[str] = SCORED_SPLITS,
) -> TrainingOutcome:
    """Train on the cluster this process is connected to (see ``ray_session``).

    Args:
        config: the run; ``config.problems()`` is empty.
        run_name: folder of the run's checkpoints in ``train.storage``.
        on_epoch: called in this thread for every finished epoch.
        on_restart: called in this thread with the number of restarts so far.
        on_workers: called in this thread with the number of workers whenever an elastic run goes on with another one.
        resume_from: checkpoint to go on from, a path or URI; where the run's folder already holds checkpoints of its
            own, the latest of them is preferred.
        score: the splits on which the best epoch's model is scored at the end.

    Raises:
        PlanError: the run does not fit the cluster.
        StorageError: checkpoints cannot be kept.
        TrainingError: workers were lost more often than ``train.max_failures``.
        KeyboardInterrupt: as usual; the workers have been ended.
        Terminated: SIGTERM or SIGHUP came; the workers have been ended.
        Exception: what a worker raised, such as DataError, ShardError or NonFiniteLossError, as it was.
    """
    run = _Run(
        config=config,
        plan=plan_training(config, cluster_resources()),
        folder=checked_storage(config.train.storage, run_name, resuming=resume_from is not None),
        name=run_name,
        resume_from=resume_from,
        score=list(score),
    )
    driver = Driver(Hooks(on_epoch or _ignore, on_restart or _ignore, on_workers or _ignore), run.needs)
    with termination_raises():
        result = driver.run(run.trainer)
    assert result.return_value is not None, "every worker returns its final report"
    return TrainingOutcome(
        final=FinalReport.from_dict(result.return_value),
        checkpoint=run.place_of(result.checkpoint),
    )


def _ignore(news: object) -> None:
    """Ignore everything that is reported."""


def _trainer_type(low: int, high: int) -> type[DataParallelTrainer]:
    """The trainer of ``low`` to ``high`` workers."""
    if low < high:
        return ElasticTorchTrainer
    # One worker has nobody to be joined with by torch.distributed, for which Ray's controller would import torch first.
    return TorchTrainer if high > 1 else DataParallelTrainer


@dataclass(frozen=True, kw_only=True)
class _Run:
    config: Config
    plan: TrainingPlan
    folder: Folder
    name: str
    resume_from: str | None
    score: list[str]

    @property
    def needs(self) -> str:
        """What the fewest workers need, in words."""
        each = quantity(self.plan.cpus_per_worker, "CPU slot") + (" and a GPU" if self.plan.gpus_per_worker else "")
        return f"{quantity(self.plan.workers[0], 'worker')} with {each} each beside a CPU slot for reading must fit"

    def trainer(self, sender: Sender) -> DataParallelTrainer:
        slots = {"CPU": float(self.plan.cpus_per_worker), "GPU": float(self.plan.gpus_per_worker)}
        low, high = self.config.train.worker_range
        return _trainer_type(low, high)(
            work,
            train_loop_config={
                "config": self._worker_config().to_dict(),
                "resume_from": self.resume_from,
                "score": self.score,
            },
            scaling_config=ScalingConfig(
                # An elastic run also takes up machines that the cluster has not got yet.
                num_workers=(low, high) if low < high else high,
                use_gpu=self.plan.device == "gpu",
                resources_per_worker={name: count for name, count in slots.items() if count},
                placement_strategy=self.config.train.placement.upper(),
                elastic_resize_monitor_interval_s=RESIZE_SECONDS,
            ),
            run_config=self._run_config(sender),  # type: ignore[arg-type] # Ray names the RunConfig of before
        )

    def _run_config(self, sender: Sender) -> RunConfig:
        max_failures = self.config.train.max_failures
        callbacks: list[Any] = [Announcer(sender, max_failures), GroupSender(sender)]
        return RunConfig(
            name=self.name,
            storage_path=self.folder.root,
            storage_filesystem=self.folder.filesystem,
            failure_config=FailureConfig(max_failures=max_failures, controller_failure_limit=START_ATTEMPTS),
            checkpoint_config=CheckpointConfig(num_to_keep=CHECKPOINTS_KEPT),
            callbacks=callbacks,
        )

    def _worker_config(self) -> Config:
        """The configuration as workers need it: they run in another folder, and the device is settled."""
        data, train = self.config.data, self.config.train
        data = replace(data, shards=absolute(data.shards))
        return replace(self.config, data=data, train=replace(train, device=self.plan.device))

    def place_of(self, checkpoint: Any) -> str:
        """Path or URI of a checkpoint of this run; where it made none, the one it went on from."""
        if checkpoint is None:
            return str(self.resume_from)
        return place_below(self.config.train.storage, f"{self.name}/{Path(checkpoint.path).name}")
