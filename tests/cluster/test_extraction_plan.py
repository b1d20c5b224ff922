"""How many actors extract at a time: never more than fit, and a refusal instead of a wait."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.extraction_plan import ExtractionActors, check_layout, local_extraction_resources, plan_extraction
from cluster.plan import PlanError
from cluster.resources import ClusterResources, Node


def nodes(*cpus: float, gpus: float = 0.0, free: float | None = None) -> ClusterResources:
    return ClusterResources(nodes=tuple(Node(cpus=count, gpus=gpus) for count in cpus), free_cpus=free)


@given(
    cpus=st.lists(st.floats(0, 20), min_size=1, max_size=4),
    each=st.integers(1, 5),
    gpus=st.integers(0, 3),
    share=st.sampled_from([0.0, 0.25, 0.3, 1.0]),
    wanted=st.integers(0, 12),
)
def test_what_is_planned_fits(cpus: list[float], each: int, gpus: int, share: float, wanted: int) -> None:
    resources = nodes(*cpus, gpus=gpus)
    try:
        plan = plan_extraction(ExtractionActors(actors=wanted, cpus_per_actor=each, gpus=share), resources)
    except PlanError:
        return
    assert plan.actors == (wanted or plan.actors) >= 1
    assert plan.actors * each <= resources.cpus - 1
    assert plan.actors <= sum(int(count) // each for count in cpus)
    if share:
        assert plan.actors <= sum(gpus * int(1 / share + 1e-9) for _ in cpus)


@pytest.mark.parametrize("wanted", [0, 1, 5])
def test_a_ray_of_its_own_always_has_room(wanted: int) -> None:
    actors = ExtractionActors(actors=wanted, cpus_per_actor=3)
    assert plan_extraction(actors, local_extraction_resources(actors)).actors == max(1, wanted)


def test_four_actors_share_a_card() -> None:
    plan = plan_extraction(ExtractionActors(gpus=0.25), nodes(16, gpus=1, free=2))
    assert (plan.actors, plan.device) == (4, "cuda")
    assert plan.describe() == [
        "4 actors with 1 CPU slot and 0.25 GPU each",
        "14 of 16 CPU slots are busy: actors wait until some are free",
    ]
    held = replace(nodes(16, gpus=2), free_cpus=16.0, free_gpus=0.5)
    assert plan_extraction(ExtractionActors(gpus=0.5, actors=2), held).notes == (
        "1.5 of 2 GPUs are busy: actors wait until some are free",
    )
    assert plan_extraction(ExtractionActors(gpus=0.25, actors=2), held).notes == ()
    assert plan_extraction(ExtractionActors(cpus_per_actor=2), nodes(3)).describe() == ["1 actor with 2 CPU slots each"]


@pytest.mark.parametrize(
    ("actors", "resources", "message"),
    [
        (ExtractionActors(), nodes(1), "1 actor with 1 CPU slot each, and 1 slot beside them, must fit; .* has 1 CPU"),
        (ExtractionActors(actors=4), nodes(4), "4 actors .* room for 3; ask for fewer"),
        (ExtractionActors(gpus=0.5), nodes(8), "a share of a GPU, the cluster has none"),
        (ExtractionActors(gpus=1, actors=2), nodes(8, gpus=1), "and 1 GPU each, .* 1 GPUs, room for 1"),
    ],
)
def test_what_would_wait_for_ever_is_refused(
    actors: ExtractionActors, resources: ClusterResources, message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        plan_extraction(actors, resources)


def test_what_a_cluster_has_is_not_guessed() -> None:
    check_layout(ExtractionActors(gpus=0.5, actors=500, address="head:6379"))
