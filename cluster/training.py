"""Training on Ray Train: one worker or many, fixed or elastic, on CPU or GPU, restarted when a worker is lost."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import TrainingFailedError
from ray.train.v2.api.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.result import Result
from ray.train.v2.torch.torch_trainer import TorchTrainer

from cluster.controller import Announcer, HandleSender, handle_from
from cluster.events import Inbox, Sender
from cluster.failures import explained
from cluster.plan import TrainingPlan, plan_training
from cluster.resources import cluster_resources
from cluster.storage import checked_storage
from cluster.worker import work
from dclf.config import Config
from dclf.data.storage import Folder
from dclf.training.reports import EpochReport, FinalReport

CHECKPOINTS_KEPT = 2
START_ATTEMPTS = 3
"""How often Ray Train may fail to start the workers, a minute each, before the run is given up."""
ABORT_SECONDS = 10.0


class Terminated(BaseException):
    """SIGTERM came while training; what a batch queue sends before it kills."""


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """A finished training.

    Attributes:
        final: its history and scores.
        checkpoint: path or URI of the last epoch's checkpoint.
        restarts: how often lost workers were replaced.
    """

    final: FinalReport
    checkpoint: str
    restarts: int


def train_on_ray(
    config: Config,
    *,
    run_name: str,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_restart: Callable[[int], None] | None = None,
    resume_from: str | None = None,
) -> TrainingOutcome:
    """Train on the cluster this process is connected to (see ``ray_session``).

    Args:
        config: the run; ``config.problems()`` is empty.
        run_name: folder of the run's checkpoints in ``train.storage``.
        on_epoch: called in this thread for every finished epoch.
        on_restart: called in this thread with the number of restarts so far.
        resume_from: checkpoint to go on from, a path or URI; the run's own later one is preferred.

    Raises:
        PlanError: the run does not fit the cluster.
        StorageError: checkpoints cannot be kept.
        TrainingError: workers were lost more often than ``train.max_failures``.
        KeyboardInterrupt: as usual; the workers have been ended.
        Terminated: SIGTERM came; the workers have been ended.
        Exception: what a worker raised, such as DataError, ShardError or NonFiniteLossError, as it was.
    """
    plan = plan_training(config, cluster_resources())
    folder = checked_storage(config.train.storage, run_name, resuming=resume_from is not None)
    task = {"config": _for_workers(config, plan).to_dict(), "resume_from": resume_from}
    hooks = _Hooks(on_epoch or _ignore, on_restart or _ignore)
    with _sigterm_raises():
        result, restarts = _Driver(lambda sender: _trainer(task, config, plan, folder, run_name, sender)).run(hooks)
    return TrainingOutcome(
        final=FinalReport.from_dict(result.return_value),
        checkpoint=_place(config.train.storage, run_name, result) or str(resume_from),
        restarts=restarts,
    )


def _ignore(news: Any) -> None:
    """What nobody asked to hear."""


@dataclass(frozen=True)
class _Hooks:
    epoch: Callable[[EpochReport], None]
    restart: Callable[[int], None]


def _for_workers(config: Config, plan: TrainingPlan) -> Config:
    """The configuration as workers need it: they run in another folder, and the device is settled."""
    shards = config.data.shards
    if "://" not in shards:
        shards = str(Path(shards).expanduser().absolute())
    return replace(config, data=replace(config.data, shards=shards), train=replace(config.train, device=plan.device))


def _trainer(
    task: dict[str, Any], config: Config, plan: TrainingPlan, folder: Folder, run_name: str, sender: Sender
) -> TorchTrainer:
    slots = {"CPU": plan.cpus_per_worker} | ({"GPU": plan.gpus_per_worker} if plan.gpus_per_worker else {})
    return TorchTrainer(
        work,
        train_loop_config=task,
        scaling_config=ScalingConfig(
            num_workers=plan.workers if plan.elastic else plan.workers[1],
            use_gpu=plan.device == "gpu",
            resources_per_worker=slots,
        ),
        run_config=RunConfig(
            name=run_name,
            storage_path=folder.root,
            storage_filesystem=folder.filesystem,
            failure_config=FailureConfig(
                max_failures=config.train.max_failures, controller_failure_limit=START_ATTEMPTS
            ),
            checkpoint_config=CheckpointConfig(num_to_keep=CHECKPOINTS_KEPT),
            callbacks=[Announcer(sender, config.train.max_failures), HandleSender(sender)],
        ),
    )


def _place(storage: str, run_name: str, result: Result) -> str | None:
    if result.checkpoint is None:
        return None
    return f"{storage.rstrip('/')}/{run_name}/{Path(result.checkpoint.path).name}"


class _Driver:
    """Runs a trainer in a thread, so that this one can hear of epochs and be interrupted.

    Args:
        make: builds the trainer, given the way back to here.
    """

    def __init__(self, make: Callable[[Sender], TorchTrainer]) -> None:
        self._make = make
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._controller: Any = None
        self._restarts = 0

    def run(self, hooks: _Hooks) -> tuple[Result, int]:
        """The result and the number of restarts; raises what ended the run."""
        with Inbox(lambda kind, body: self._events.put((kind, body))) as inbox:
            trainer = self._make(inbox.sender)
            thread = threading.Thread(target=self._fit, args=(trainer, inbox), name="dclf-train", daemon=True)
            thread.start()
            try:
                return self._listen(hooks), self._restarts
            except BaseException:
                self._abort(thread)
                raise

    def _fit(self, trainer: TorchTrainer, inbox: Inbox) -> None:
        try:
            outcome: tuple[str, Any] = ("finished", trainer.fit())
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            outcome = ("failed", error)
        inbox.close()
        self._events.put(outcome)

    def _listen(self, hooks: _Hooks) -> Any:
        while True:
            kind, body = self._events.get()
            if kind == "finished":
                return body
            if kind == "failed":
                raise explained(body, self._restarts) if isinstance(body, TrainingFailedError) else body
            self._hear(kind, body, hooks)

    def _hear(self, kind: str, body: Any, hooks: _Hooks) -> None:
        if kind == "controller":
            self._controller = handle_from(body)
        elif kind == "restart":
            self._restarts = body
            hooks.restart(body)
        elif kind == "epoch":
            hooks.epoch(EpochReport(**body))

    def _abort(self, thread: threading.Thread) -> None:
        """End the workers if the run still goes on."""
        if self._controller is None or not thread.is_alive():
            return
        with suppress(RayError):
            ray.get(self._controller.abort.remote(), timeout=ABORT_SECONDS)
        with suppress(RayError):
            ray.kill(self._controller)
        thread.join(ABORT_SECONDS)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into ``Terminated`` in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
