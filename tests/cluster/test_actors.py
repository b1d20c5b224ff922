"""How many actors work at a time: never more than fit beside a read, and a refusal instead of a wait."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.actors import ActorSettings, check_layout, local_resources, plan_actors
from cluster.plan import PlanError
from cluster.resources import ClusterResources, Node


def nodes(*cpus: float, gpus: float = 0.0, free: float | None = None) -> ClusterResources:
    return ClusterResources(nodes=tuple(Node(cpus=count, gpus=gpus) for count in cpus), free_cpus=free)


@given(
    pieces=st.none() | st.integers(1, 50),
    cpus=st.lists(st.floats(0, 20), min_size=1, max_size=4),
    each=st.integers(1, 5),
    gpus=st.integers(0, 3),
    share=st.sampled_from([0.0, 0.25, 0.3, 1.0]),
    actors=st.integers(0, 12),
)
def test_what_is_planned_fits(
    pieces: int | None, cpus: list[float], each: int, gpus: int, share: float, actors: int
) -> None:
    resources = nodes(*cpus, gpus=gpus)
    settings = ActorSettings(actors=actors, cpus_per_actor=each, gpus=share)
    try:
        plan = plan_actors(settings, resources, pieces)
    except PlanError:
        return
    most = float("inf") if pieces is None else pieces
    assert 1 <= plan.actors <= most
    assert plan.actors == (min(most, actors) or plan.actors)
    assert plan.actors * each <= resources.cpus - 1
    assert plan.actors <= sum(int(count) // each for count in cpus)
    if share:
        assert plan.actors <= sum(gpus * int(1 / share + 1e-9) for _ in cpus)


@pytest.mark.parametrize("pieces", [None, 1, 3, 40])
@pytest.mark.parametrize("actors", [0, 1, 5])
def test_a_ray_of_its_own_always_has_room(actors: int, pieces: int | None) -> None:
    settings = ActorSettings(actors=actors, cpus_per_actor=3)
    plan = plan_actors(settings, local_resources(settings, pieces), pieces)
    assert plan.actors == min(pieces or 40, actors or plan.actors) >= 1


def test_four_actors_share_a_card() -> None:
    plan = plan_actors(ActorSettings(gpus=0.25), nodes(16, gpus=1, free=2), 20)
    assert (plan.actors, plan.device) == (4, "cuda")
    assert plan.describe() == [
        "4 actors with 1 CPU slot and 0.25 GPU each",
        "14 of 16 CPU slots are busy: actors wait until some are free",
    ]
    busy = replace(nodes(16, gpus=2), free_cpus=16.0, free_gpus=0.5)
    assert plan_actors(ActorSettings(gpus=0.5, actors=2), busy).notes == (
        "1.5 of 2 GPUs are busy: actors wait until some are free",
    )
    assert plan_actors(ActorSettings(gpus=0.25, actors=2), busy).notes == ()
    assert plan_actors(ActorSettings(cpus_per_actor=2), nodes(3)).describe() == ["1 actor with 2 CPU slots each"]


@pytest.mark.parametrize(
    ("settings", "resources", "message"),
    [
        (ActorSettings(), nodes(1), "1 actor with 1 CPU slot each, and 1 slot beside them, must fit; .* has 1 CPU"),
        (ActorSettings(actors=4), nodes(4), "4 actors .* room for 3; ask for fewer"),
        (ActorSettings(gpus=0.5), nodes(8), "a share of a GPU, the cluster has none"),
        (ActorSettings(gpus=1, actors=2), nodes(8, gpus=1), "and 1 GPU each, .* 1 GPUs, room for 1"),
    ],
)
@pytest.mark.parametrize("pieces", [None, 9])
def test_what_would_wait_for_ever_is_refused(
    settings: ActorSettings, resources: ClusterResources, message: str, pieces: int | None
) -> None:
    with pytest.raises(PlanError, match=message):
        plan_actors(settings, resources, pieces)


def test_what_a_cluster_has_is_not_guessed() -> None:
    check_layout(ActorSettings(gpus=0.5, actors=500, address="head:6379"))


def test_impossible_settings() -> None:
    assert ActorSettings(actors=2, gpus=0.25).problems() == []
    assert ActorSettings(actors=-1, cpus_per_actor=0, gpus=1.5).problems() == [
        "actors: must be 0 or more, is -1",
        "cpus_per_actor: must be 1 or more, is 0",
        "gpus: must be 0, or 0.01 to 1 of a card, is 1.5",
    ]
