"""How many models are worked on at a time: never more than fit beside a read, and a refusal instead of a wait."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.model_plan import ActorSettings, local_model_resources, plan_models
from cluster.plan import PlanError
from cluster.resources import ClusterResources, Node


def nodes(*cpus: float, gpus: float = 0.0, free: float | None = None) -> ClusterResources:
    return ClusterResources(nodes=tuple(Node(cpus=count, gpus=gpus) for count in cpus), free_cpus=free)


@given(
    models=st.integers(1, 50),
    cpus=st.lists(st.floats(0, 20), min_size=1, max_size=4),
    gpus=st.integers(0, 3),
    share=st.sampled_from([0.0, 0.25, 0.3, 1.0]),
    wanted=st.integers(0, 12),
)
def test_what_is_planned_fits(models: int, cpus: list[float], gpus: int, share: float, wanted: int) -> None:
    resources, settings = nodes(*cpus, gpus=gpus), ActorSettings(at_a_time=wanted, gpus=share)
    try:
        plan = plan_models(models, settings, resources)
    except PlanError:
        return
    assert 1 <= plan.actors <= models
    assert plan.actors <= resources.cpus - 1
    assert plan.actors == (min(models, wanted) or plan.actors)
    if share:
        assert plan.actors <= sum(gpus * int(1 / share + 1e-9) for _ in cpus)


@pytest.mark.parametrize("models", [1, 3, 40])
def test_a_ray_of_its_own_always_has_room(models: int) -> None:
    for wanted in (0, 1, 5):
        settings = ActorSettings(at_a_time=wanted)
        assert plan_models(models, settings, local_model_resources(models, settings)).actors >= 1


def test_four_models_share_a_card() -> None:
    plan = plan_models(20, ActorSettings(gpus=0.25), nodes(16, gpus=1))
    assert (plan.actors, plan.device) == (4, "cuda")
    assert plan.describe() == ["4 models at a time, each with 1 CPU slot and 0.25 GPU"]
    held = replace(nodes(16, gpus=1), free_gpus=0.5)
    assert plan_models(20, ActorSettings(gpus=0.25), held).notes == (
        "0.5 of 1 GPUs are busy: models wait until some are free",
    )
    assert plan_models(20, ActorSettings(), nodes(3)).describe() == ["2 models at a time, each with 1 CPU slot"]


@pytest.mark.parametrize(
    ("settings", "resources", "message"),
    [
        (ActorSettings(), nodes(1), "1 models at a time need a CPU slot each and 1 for reading; the cluster has 1"),
        (ActorSettings(at_a_time=4), nodes(4), "4 models at a time .* room for 3; ask for fewer"),
        (ActorSettings(gpus=0.5), nodes(8), "a share of a GPU, the cluster has none"),
        (ActorSettings(gpus=1, at_a_time=2), nodes(8, gpus=1), "and 1 GPU each; .* 1 GPUs, room for 1"),
    ],
)
def test_what_would_wait_for_ever_is_refused(
    settings: ActorSettings, resources: ClusterResources, message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        plan_models(9, settings, resources)


def test_a_busy_cluster_is_told() -> None:
    assert plan_models(9, ActorSettings(), nodes(4, free=1)).notes == (
        "3 of 4 CPU slots are busy: models wait until some are free",
    )


def test_impossible_settings() -> None:
    assert ActorSettings(at_a_time=2, gpus=0.25).problems() == []
    assert ActorSettings(at_a_time=-1, gpus=1.5).problems() == [
        "at_a_time: must be 0 or more, is -1",
        "gpus: must be 0, or 0.01 to 1 of a card, is 1.5",
    ]
