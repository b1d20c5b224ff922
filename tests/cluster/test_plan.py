from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.plan import PlanError, crowding, local_cpus, plan_training
from cluster.resources import ClusterResources, Node
from dclf.config import Config, TrainConfig


def config(**values: object) -> Config:
    return Config(train=TrainConfig(batch_size=64, **values))  # type: ignore[arg-type]


def machines(*cpus: float, gpus: float = 0.0) -> ClusterResources:
    return ClusterResources(nodes=tuple(Node(cpus=each, gpus=gpus) for each in cpus))


worker_counts = st.integers(1, 9) | st.tuples(st.integers(1, 4), st.integers(4, 9))
clusters = st.lists(st.builds(Node, cpus=st.floats(0, 12), gpus=st.sampled_from([0.0, 0.5, 1.0, 2.0])), max_size=4).map(
    lambda nodes: ClusterResources(nodes=tuple(nodes))
)


@given(workers=worker_counts, cpus=st.integers(1, 5), device=st.sampled_from(["auto", "cpu"]), resources=clusters)
def test_an_accepted_plan_leaves_a_whole_cpu_for_reading_wherever_the_workers_land(
    workers: int | tuple[int, int], cpus: int, device: str, resources: ClusterResources
) -> None:
    try:
        plan = plan_training(config(workers=workers, cpus_per_worker=cpus, device=device), resources)
    except PlanError:
        return
    total = sum(floor(node.cpus) for node in resources.nodes)
    assert total - plan.workers[1] * cpus >= 1
    assert plan.read_cpus == total - plan.workers[1] * cpus


@given(workers=st.integers(1, 9), cpus=st.integers(1, 5), resources=clusters)
def test_a_plan_is_refused_only_where_no_placement_leaves_a_read_slot(
    workers: int, cpus: int, resources: ClusterResources
) -> None:
    places = sum(floor(node.cpus) // cpus for node in resources.nodes)
    fits = places >= workers and sum(floor(node.cpus) for node in resources.nodes) > workers * cpus
    try:
        plan_training(config(workers=workers, cpus_per_worker=cpus, device="cpu"), resources)
        accepted = True
    except PlanError:
        accepted = False
    assert accepted == fits


def test_workers_that_take_every_cpu_are_refused_with_what_to_change() -> None:
    with pytest.raises(PlanError, match=r"needs 5 CPU slots .*has 4 on 1 machine.*lower train\.workers"):
        plan_training(config(workers=4), machines(4))


def test_a_worker_cannot_span_machines() -> None:
    with pytest.raises(PlanError, match="at most 2 on one"):
        plan_training(config(workers=1, cpus_per_worker=3), machines(2, 2, 2))


def test_elastic_training_is_capped_so_that_reading_goes_on() -> None:
    plan = plan_training(config(workers=(1, 8)), machines(4))
    assert plan.workers == (1, 3)
    assert plan.elastic
    assert plan.read_cpus == 1
    assert "at most 3 of the 8 workers" in "\n".join(plan.describe())


def test_a_gpu_is_refused_where_none_is() -> None:
    with pytest.raises(PlanError, match="cluster has none"):
        plan_training(config(device="gpu"), machines(8))


def test_every_worker_gets_a_gpu_of_its_own() -> None:
    plan = plan_training(config(workers=2, device="gpu"), machines(4, 4, gpus=1))
    assert (plan.device, plan.gpus_per_worker) == ("gpu", 1)
    with pytest.raises(PlanError, match="3 GPUs"):
        plan_training(config(workers=3, device="gpu"), machines(4, 4, gpus=1))


def test_auto_takes_gpus_only_where_there_are_enough() -> None:
    assert plan_training(config(workers=2), machines(4, gpus=2)).device == "gpu"
    assert plan_training(config(workers=2), machines(4, gpus=1)).device == "cpu"


def test_a_busy_cluster_is_announced() -> None:
    busy = ClusterResources(nodes=(Node(cpus=4),), free_cpus=1)
    assert "3 of 4 CPU slots are busy" in "\n".join(plan_training(config(workers=2), busy).describe())


@given(workers=worker_counts, cpus=st.integers(1, 5), cores=st.integers(1, 64))
def test_a_ray_started_for_a_run_fits_it(workers: int | tuple[int, int], cpus: int, cores: int) -> None:
    run = config(workers=workers, cpus_per_worker=cpus)
    plan = plan_training(run, machines(local_cpus(run, cores)))
    low, high = run.train.worker_range
    assert plan.workers == (low, max(low, min(high, cores // cpus)))
    assert plan.read_cpus == 1


@pytest.mark.parametrize("layout", [(8, 1), (4, 2), (1, 8)])
def test_more_threads_than_cores_are_warned_of(layout: tuple[int, int]) -> None:
    run = config(workers=layout[0], cpus_per_worker=layout[1])
    warning = crowding(plan_training(run, machines(local_cpus(run, 2))), 2) or ""
    settings = f"train.workers {layout[0]}, train.cpus_per_worker {layout[1]}"
    assert warning.startswith(f"warning: 8 threads ({settings}) compete for this machine's 2 cores")
    assert "lower train.workers" in warning


@pytest.mark.parametrize("workers", [1, 2, (1, 8)])
def test_what_the_cores_can_carry_is_not_warned_of(workers: int | tuple[int, int]) -> None:
    run = config(workers=workers)
    assert crowding(plan_training(run, machines(local_cpus(run, 2))), 2) is None


def test_workers_on_gpus_do_not_crowd_the_cores() -> None:
    assert crowding(plan_training(config(workers=4), machines(8, gpus=4)), 2) is None


def test_describe_says_what_runs() -> None:
    assert plan_training(config(workers=2, cpus_per_worker=2), machines(6)).describe() == [
        "2 workers with 2 CPU slots each, 2 CPU slots for reading"
    ]
