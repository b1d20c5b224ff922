"""How many workers an elastic run has: never so many that no slot is left for reading, or that cannot start."""

from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.train import ScalingConfig

from cluster.elastic import LeavesRoomToRead, possible_workers
from cluster.resources import ClusterResources, Node

nodes = st.builds(Node, cpus=st.integers(0, 16).map(float), gpus=st.integers(0, 4).map(float))
clusters = st.lists(nodes, max_size=6).map(tuple)


@given(nodes=clusters, cpus=st.integers(1, 5), gpu=st.booleans(), running=st.integers(0, 9), free=st.integers(0, 96))
def test_a_read_slot_stays_free_and_no_worker_spans_nodes(
    nodes: tuple[Node, ...], cpus: int, gpu: bool, running: int, free: int
) -> None:
    slots = {"CPU": float(cpus), **({"GPU": 1.0} if gpu else {})}
    workers = possible_workers(slots, ClusterResources(nodes=nodes, free_cpus=float(free)), running)
    total = sum(floor(node.cpus) for node in nodes)
    assert workers == 0 or total - workers * cpus >= 1
    assert workers <= sum(min(floor(node.cpus) // cpus, floor(node.gpus) if gpu else 99) for node in nodes)


def test_slots_of_other_runs_are_left_to_them_once_workers_run() -> None:
    # Two nodes of four; ours has two workers, another run holds five slots.
    busy = ClusterResources(nodes=(Node(cpus=4), Node(cpus=4)), free_cpus=1.0)
    assert possible_workers({"CPU": 1.0}, busy, running=2) == 3
    assert possible_workers({"CPU": 2.0}, busy, running=2) == 2
    assert possible_workers({"CPU": 1.0}, busy, running=0) == 7, "all of its own are still to be started"


def test_a_read_task_that_runs_just_now_does_not_keep_a_worker_from_coming() -> None:
    returned = ClusterResources(nodes=(Node(cpus=2), Node(cpus=1)), free_cpus=1.0)
    assert possible_workers({"CPU": 1.0}, returned, running=1) == 2


def test_ray_trains_own_count_is_bounded_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = LeavesRoomToRead(ScalingConfig(num_workers=(1, 4), resources_per_worker={"CPU": 1.0}))
    monkeypatch.setattr("cluster.elastic.cluster_resources", lambda: ClusterResources(nodes=(Node(cpus=2),)))
    # The slots of the node that is left, both of which Ray Train would give to workers.
    assert policy._count_possible_workers({"left": {"CPU": 2.0}}) == 1
    assert policy._count_possible_workers({"left": {"CPU": 1.0}}) == 1
    assert policy._count_possible_workers({}) == 0
