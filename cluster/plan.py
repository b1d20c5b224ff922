"""Whether a training run fits a cluster, decided before it starts.

Ray says nothing when a run does not fit: workers that hold every CPU slot wait for ever for a read task that finds
none. So a plan is made first; it leaves the data pipeline its CPU or says what to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Literal

from dclf.config import Config, TrainConfig
from dclf.errors import UserError
from dclf.prose import quantity

if TYPE_CHECKING:  # the command line knows PlanError without importing Ray
    from cluster.resources import ClusterResources, Node

READ_CPUS = 1
"""Whole CPU slots that must stay free of workers: one read task takes one."""
SMALLEST_SHARE = 0.01
"""Of a GPU: a card holds no hundred trainings or models."""
CHECKPOINTS_KEPT = 2
"""Of each training on Ray Train, the latest."""


class PlanError(UserError, ValueError):
    """A run does not fit the cluster; the message says what it needs, what there is and what to change."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How a run is laid out.

    Attributes:
        workers: fewest and most workers; equal unless training is elastic.
        cpus_per_worker: CPU slots, and threads, of each.
        gpus_per_worker: 1 on GPU, else 0.
        read_cpus: CPU slots left for reading with the most workers running.
        device: what the workers compute on.
        notes: what the user should know, one sentence each.
    """

    workers: tuple[int, int]
    cpus_per_worker: int
    gpus_per_worker: int
    read_cpus: int
    device: Literal["cpu", "gpu"]
    notes: tuple[str, ...] = ()

    @property
    def elastic(self) -> bool:
        """Whether the number of workers may change."""
        return self.workers[0] < self.workers[1]

    def describe(self) -> list[str]:
        """Lines for the terminal."""
        low, high = self.workers
        count = f"{low} to {high} workers" if self.elastic else quantity(high, "worker")
        cpus = quantity(self.cpus_per_worker, "CPU slot")
        each = f"{cpus} and 1 GPU" if self.gpus_per_worker else cpus
        return [f"{count} with {each} each, {quantity(self.read_cpus, 'CPU slot')} for reading", *self.notes]


def plan_training(config: Config, resources: ClusterResources) -> TrainingPlan:
    """Lay out a run on a cluster.

    Elastic training gets at most as many workers as leave a CPU for reading; fewer machines than asked for is a note,
    fewer than the minimum needs an error.

    Raises:
        PlanError: the run would wait for ever.
    """
    train = config.train
    device = _device(train, resources)
    low, high = train.worker_range
    fitting = workers_beside_reading(resources, train.cpus_per_worker, on_gpu=device == "gpu")
    if fitting < low:
        raise PlanError(_too_small(train, resources, device))
    most = min(high, fitting)
    return TrainingPlan(
        workers=(low, most),
        cpus_per_worker=train.cpus_per_worker,
        gpus_per_worker=int(device == "gpu"),
        read_cpus=resources.cpus - most * train.cpus_per_worker,
        device=device,
        notes=tuple(_notes(train, resources, most)),
    )


def local_cpus(config: Config, cores: int) -> int:
    """CPU slots that a Ray started for this run alone needs on a machine of so many cores.

    A fixed number of workers is the user's word, so that a layout can be tried where it is slow; elastic training
    takes as many as have cores.
    """
    low, high = config.train.worker_range
    each = config.train.cpus_per_worker
    return max(low, min(high, cores // each)) * each + READ_CPUS


def crowding(plan: TrainingPlan, cores: int) -> str | None:
    """A warning where the workers of one machine compute on more threads than it has cores; else None."""
    threads = plan.workers[1] * plan.cpus_per_worker
    if plan.device == "gpu" or threads <= cores:
        return None
    return (
        f"warning: {threads} threads (train.workers {plan.workers[1]}, train.cpus_per_worker {plan.cpus_per_worker}) "
        f"compete for this machine's {quantity(cores, 'core')} and slow each other down; lower "
        "train.workers or train.cpus_per_worker, or use a cluster"
    )


def _device(train: TrainConfig, resources: ClusterResources) -> Literal["cpu", "gpu"]:
    if train.device == "gpu" and not resources.gpus:
        raise PlanError(
            "train.device: gpu needs a GPU for each worker, the cluster has none; use train.device auto or cpu, or "
            "connect to a cluster with GPUs"
        )
    enough = workers_beside_reading(resources, train.cpus_per_worker, on_gpu=True) >= train.worker_range[0]
    return "gpu" if train.device == "gpu" or (train.device == "auto" and enough) else "cpu"


def workers_beside_reading(resources: ClusterResources, cpus_per_worker: int, *, on_gpu: bool) -> int:
    """How many workers the cluster holds while ``READ_CPUS`` whole CPU slots stay free, wherever Ray puts them."""
    places = sum(_places(node, cpus_per_worker, on_gpu=on_gpu) for node in resources.nodes)
    return max(0, min(places, (resources.cpus - READ_CPUS) // cpus_per_worker))


def _places(node: Node, cpus_per_worker: int, *, on_gpu: bool) -> int:
    places = floor(node.cpus) // cpus_per_worker
    return min(places, floor(node.gpus)) if on_gpu else places


def _too_small(train: TrainConfig, resources: ClusterResources, device: str) -> str:
    low = train.worker_range[0]
    gpus = f" and {low} GPUs" if device == "gpu" else ""
    have = f", {resources.gpus} GPUs" if device == "gpu" else ""
    machines = quantity(len(resources.nodes), "machine")
    largest = max((floor(node.cpus) for node in resources.nodes), default=0)
    return (
        f"train.workers {low} with train.cpus_per_worker {train.cpus_per_worker} needs "
        f"{low * train.cpus_per_worker + READ_CPUS} CPU slots{gpus} (one is for reading the data; a worker cannot span "
        f"machines), the cluster has {resources.cpus} on {machines}, at most {largest} on one{have}; lower "
        "train.workers or train.cpus_per_worker, or use a larger cluster"
    )


def _notes(train: TrainConfig, resources: ClusterResources, most: int) -> Iterator[str]:
    low, high = train.worker_range
    if most < high:
        yield f"at most {most} of the {high} workers asked for fit the cluster now and leave a CPU slot for reading"
    if train.placement == "spread" and most > 1 and len(resources.nodes) == 1:
        yield "train.placement spread has one machine only"
    yield from resources.busy_notes(
        low * train.cpus_per_worker + READ_CPUS, "the run waits four minutes for enough of them"
    )
