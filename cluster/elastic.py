"""How many workers an elastic training has now: as many as the cluster holds beside what must stay free for reading.

Ray Train's own policy counts the slots of all nodes. After a node is lost it would give every slot that is left to
workers, which then wait for ever for a read task; and where other runs hold slots it would ask for workers that cannot
start, and lose an epoch each time.

``ScalingConfig`` takes bounds but no policy of one's own, so this derives from private parts of Ray:
``ElasticScalingPolicy`` of ``ray.train.v2._internal``, and the trainer's ``_initialize_and_run_controller``, which is
handed the policy. A new release of Ray may change them.
"""

from __future__ import annotations

from math import floor
from typing import Any

from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy
from ray.train.v2.api.config import ScalingConfig
from ray.train.v2.torch.torch_trainer import TorchTrainer

from cluster.plan import workers_beside_reading
from cluster.resources import ClusterResources, cluster_resources


class LeavesRoomToRead(ElasticScalingPolicy):
    """Ray Train's scaling policy, limited to workers that leave one CPU for reading, and later to free slots."""

    def __init__(self, scaling_config: ScalingConfig) -> None:
        super().__init__(scaling_config)
        self._running = 0

    def make_decision_for_running_worker_group(self, worker_group_state: Any, worker_group_status: Any) -> Any:
        """Whether to go on with another number of workers."""
        self._running = int(worker_group_state.num_workers)
        try:
            return super().make_decision_for_running_worker_group(worker_group_state, worker_group_status)
        finally:
            self._running = 0

    def _count_possible_workers(self, reserved_resources: Any) -> int:
        counted: int = super()._count_possible_workers(reserved_resources)
        slots: dict[str, float] = self.scaling_config._resources_per_worker_not_none
        return min(counted, possible_workers(slots, cluster_resources(), self._running))


def possible_workers(slots: dict[str, float], resources: ClusterResources, running: int) -> int:
    """Workers that the cluster can hold now.

    Args:
        slots: of each worker, ``CPU`` and, on GPUs, ``GPU``.
        resources: of the nodes that are alive.
        running: workers that hold slots already; 0 where all of them have to be started.
    """
    cpus = max(1, floor(slots["CPU"]))
    most = workers_beside_reading(resources, cpus, on_gpu="GPU" in slots)
    if not running or resources.free_cpus is None:
        return most
    return min(most, running + floor(resources.free_cpus) // cpus)


class ElasticTorchTrainer(TorchTrainer):
    """A TorchTrainer whose number of workers follows ``LeavesRoomToRead``."""

    def _initialize_and_run_controller(self, **settings: Any) -> Any:
        config: Any = self.scaling_config
        settings["scaling_policy"] = LeavesRoomToRead(config)
        return super()._initialize_and_run_controller(**settings)
