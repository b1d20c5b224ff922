import random
import time
from dataclasses import dataclass, field, replace
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.plan import PlanError
from cluster.resources import ClusterResources, Node
from cluster.trial_layout import DRIVER_CPUS, TrialLayout
from cluster.trial_plan import TrialPlan, TrialPlanError, concurrency_of, local_cpus_for_trials, plan_trials
from dclf.config import Config, TrainConfig
from tests.cluster.trial_layouts import refused_and_nearest
from tune.config.sweep_settings import SweepSettings

EPSILON = 1e-6


def machines(*cpus: float, gpus: float = 0.0) -> ClusterResources:
    return ClusterResources(nodes=tuple(Node(cpus=each, gpus=gpus) for each in cpus))


def config(**values: object) -> Config:
    return Config(train=TrainConfig(**{"batch_size": 64, **values}))  # type: ignore[arg-type]


def plan(resources: ClusterResources, train: dict[str, object] | None = None, **settings: object) -> TrialPlan:
    return plan_trials(config(**(train or {})), SweepSettings(**settings), resources)  # type: ignore[arg-type]


clusters = st.lists(st.builds(Node, cpus=st.floats(0, 13), gpus=st.sampled_from([0.0, 0.5, 1.0, 2.0])), max_size=4).map(
    lambda nodes: ClusterResources(nodes=tuple(nodes))
)
layouts = st.builds(
    TrialLayout,
    tasks=st.sampled_from([0, 3, 50]),
    concurrency=st.integers(0, 8),
    workers=st.integers(0, 5),
    gpus=st.sampled_from([0.0, 0.0, 0.001, 0.25, 0.3, 0.5, 1.0, 2.0, 3.0]),
    cpus=st.integers(1, 4),
    device=st.sampled_from(["auto", "cpu", "gpu"]),
    batch_size=st.sampled_from([2, 16]),
)


@dataclass
class Machine:
    """Slots of a machine while trials are placed, as Ray counts them: CPUs together, GPUs card by card."""

    cpus: float
    cards: list[float] = field(default_factory=list)

    def take(self, cpus: int, gpus: float, chance: random.Random) -> bool:
        fitting = [card for card, free in enumerate(self.cards) if free >= gpus - EPSILON]
        if self.cpus < cpus or (gpus and not fitting):
            return False
        self.cpus -= cpus
        if gpus:
            self.cards[chance.choice(fitting)] -= gpus
        return True


def place(layout: TrialLayout, concurrency: int, resources: ClusterResources, chance: random.Random) -> list[Machine]:
    """Put every part of every trial on a machine drawn by chance among those with room, in an order drawn by chance."""
    free = [Machine(node.cpus, [1.0] * floor(node.gpus)) for node in resources.nodes]
    parts = [[(layout.cpus, layout.gpus_per_worker)] * max(1, layout.workers) for _ in range(concurrency)]
    waiting = [trial for trial in parts if not layout.workers]
    drivers = [trial for trial in parts if layout.workers]
    while waiting or drivers:
        if drivers and (not waiting or chance.random() < 0.6):
            put(DRIVER_CPUS, 0.0, free, chance)
            waiting.append(drivers.pop())
            continue
        for cpus, gpus in waiting.pop(chance.randrange(len(waiting))):
            put(cpus, gpus, free, chance)
    return free


def put(cpus: int, gpus: float, free: list[Machine], chance: random.Random) -> None:
    order = chance.sample(free, len(free))
    assert any(machine.take(cpus, gpus, chance) for machine in order), "a part of a trial waits for ever"


def refusal(layout: TrialLayout, resources: ClusterResources) -> TrialPlanError | None:
    try:
        concurrency_of(layout, resources)
    except TrialPlanError as error:
        return error
    return None


@given(layout=layouts, resources=clusters, seed=st.integers(0, 2**20))
def test_an_accepted_layout_is_placed_in_any_order_and_leaves_a_slot_for_reading(
    layout: TrialLayout, resources: ClusterResources, seed: int
) -> None:
    if refusal(layout, resources):
        return
    concurrency = concurrency_of(layout, resources)
    assert concurrency >= 1
    assert layout.concurrency in (0, concurrency) or concurrency == layout.tasks
    free = place(layout, concurrency, resources, random.Random(seed))
    assert any(machine.cpus >= 1 for machine in free), "no read task finds a CPU"


@given(layout=layouts, resources=clusters)
def test_what_a_refusal_names_is_accepted(layout: TrialLayout, resources: ClusterResources) -> None:
    error = refusal(layout, resources)
    if error is not None and error.nearest:
        assert refusal(layout.changed(error.nearest), resources) is None
        values = {key: value if isinstance(value, str) else f"{value:g}" for key, value in error.nearest.items()}
        assert all(f"{key} to {value}" in str(error) for key, value in values.items())
    elif error is not None:
        assert refusal(TrialLayout(), resources), "one small trial would have fitted"


@given(layout=layouts, resources=clusters)
def test_one_trial_more_than_named_is_refused_too(layout: TrialLayout, resources: ClusterResources) -> None:
    error = refusal(layout, resources)
    if error is not None and set(error.nearest) == {"sweep.concurrency"}:
        more = int(error.nearest["sweep.concurrency"]) + 1
        assert refusal(replace(layout, concurrency=more, tasks=0), resources)


@given(layout=layouts, resources=clusters)
def test_auto_takes_all_that_fits(layout: TrialLayout, resources: ClusterResources) -> None:
    auto = replace(layout, concurrency=0, tasks=0)
    if not refusal(auto, resources):
        most = concurrency_of(auto, resources)
        assert concurrency_of(replace(auto, concurrency=most), resources) == most
        assert refusal(replace(auto, concurrency=most + 1), resources)


@given(cpus=st.lists(st.integers(0, 5), min_size=1, max_size=3), cards=st.integers(0, 2), slots=st.integers(1, 3))
def test_trials_in_their_own_process_are_refused_only_where_no_placement_leaves_a_read_slot(
    cpus: list[int], cards: int, slots: int
) -> None:
    resources = machines(*cpus, gpus=cards)
    for concurrency in range(1, 8):
        fits = sum(each // slots for each in cpus) >= concurrency and sum(cpus) > concurrency * slots
        layout = TrialLayout(concurrency=concurrency, cpus=slots)
        assert (refusal(layout, resources) is None) == fits


@given(cpus=st.lists(st.integers(0, 5), min_size=1, max_size=2), workers=st.integers(1, 3), slots=st.integers(1, 3))
def test_nested_trials_are_refused_only_where_some_placement_of_their_drivers_hangs(
    cpus: list[int], workers: int, slots: int
) -> None:
    for concurrency in range(1, 4):
        layout = TrialLayout(concurrency=concurrency, workers=workers, cpus=slots)
        accepted = refusal(layout, machines(*cpus)) is None
        assert accepted == all_driver_placements_work(layout, cpus)


def all_driver_placements_work(layout: TrialLayout, cpus: list[int]) -> bool:
    """By trying every way to spread the drivers."""
    total = layout.concurrency * layout.workers
    if sum(cpus) < layout.concurrency * layout.trial_cpus + 1:
        return False
    return all(
        sum((each - drivers) // layout.cpus for each, drivers in zip(cpus, spread, strict=True)) >= total
        for spread in spreads(layout.concurrency, cpus)
    )


def spreads(drivers: int, cpus: list[int]) -> list[list[int]]:
    if len(cpus) == 1:
        return [[drivers]] if drivers <= cpus[0] else []
    return [[here, *rest] for here in range(min(drivers, cpus[0]) + 1) for rest in spreads(drivers - here, cpus[1:])]


@pytest.mark.parametrize(
    ("share", "trials"), [(0.3, 3), (0.25, 4), (0.1, 10), (0.2, 5), (1 / 3, 3), (0.6, 1), (1.0, 1)]
)
def test_shares_of_a_gpu_pack_trials_card_by_card(share: float, trials: int) -> None:
    assert plan(machines(64, gpus=2), gpus_per_trial=share).concurrency == 2 * trials


def test_auto_takes_every_slot_but_one() -> None:
    layout = plan(machines(4, 4))
    assert (layout.concurrency, layout.read_cpus, layout.device) == (7, 1, "cpu")
    assert layout.trial_resources == {"CPU": 1.0}


def test_no_more_run_at_a_time_than_there_are() -> None:
    comparison = plan(machines(16), trials=3, seeds=4, test="all")
    assert comparison.concurrency == 12
    assert "12 trainings at a time, each with 1 CPU slot" in comparison.describe()[0]
    layout = plan(machines(16), trials=3, concurrency=8)
    assert layout.concurrency == 3
    assert "3 at a time instead of 8" in "\n".join(layout.describe())


def test_the_layout_that_hangs_on_two_cpus_is_refused() -> None:
    with pytest.raises(TrialPlanError, match=r"concurrency 2 with sweep\.workers_per_trial 2 .*needs 7 CPU slots"):
        plan(machines(2), concurrency=2, workers_per_trial=2)


def test_drivers_that_may_break_the_workers_places_are_reckoned_with() -> None:
    with pytest.raises(TrialPlanError, match=r"set sweep\.workers_per_trial to 1"):
        plan(machines(4, 4, 1), train={"cpus_per_worker": 4}, workers_per_trial=2)


def test_gpus_are_refused_where_none_are() -> None:
    with pytest.raises(TrialPlanError, match=r"needs a GPU, there is none; set sweep\.gpus_per_trial to 0") as error:
        plan(machines(8), gpus_per_trial=0.5, concurrency=2)
    assert error.value.nearest == {"sweep.gpus_per_trial": 0}


@pytest.mark.parametrize(
    ("train", "settings", "message"),
    [
        ({"device": "gpu"}, {}, r"train\.device: gpu needs GPUs .* set sweep\.gpus_per_trial to 1"),
        ({"device": "cpu"}, {"gpus_per_trial": 1.0}, r"must be 0 with train\.device cpu, is 1; set .* to 0"),
        ({}, {"gpus_per_trial": 1e-5}, r"at least 0\.01, is 1e-05; set sweep\.gpus_per_trial to 0\.01"),
        ({}, {"gpus_per_trial": 1.0, "workers_per_trial": 2}, r"must be 0 or 2, .* set sweep\.gpus_per_trial to 2"),
        ({}, {"gpus_per_trial": 2.0}, r"must be at most 1 unless .* set sweep\.gpus_per_trial to 1"),
        (
            {"batch_size": 2},
            {"workers_per_trial": 3},
            r"must be at most train\.batch_size, 2, is 3; set sweep\.workers_per_trial to 2",
        ),
    ],
)
def test_contradictions_are_refused(train: dict[str, object], settings: dict[str, object], message: str) -> None:
    with pytest.raises(TrialPlanError, match=message):
        plan(machines(16, gpus=4), train=train, **settings)


def test_a_contradiction_is_not_mended_by_what_the_cluster_lacks() -> None:
    with pytest.raises(TrialPlanError) as error:
        plan(machines(4), train={"device": "gpu"})
    assert error.value.nearest == {"train.device": "auto"}


def test_a_cluster_without_room_says_so() -> None:
    with pytest.raises(PlanError, match=r"one trial .* needs 2 CPU slots .* are 1 on 1 machine, .*; use a larger"):
        plan(machines(1))


def test_describe_says_what_runs() -> None:
    nested = plan(machines(9, gpus=2), workers_per_trial=2, gpus_per_trial=2)
    (line,) = nested.describe()
    layout, _, reading = line.partition("; ")
    assert layout == "1 trial at a time, each with 1 CPU slot for itself and 2 workers of 1 CPU slot and 1 GPU"
    assert reading == "6 CPU slots for reading, up to 1024 MiB of dialogues kept on each machine"
    assert nested.trial_resources == {"CPU": 1.0}
    shared = plan(machines(9, gpus=1), gpus_per_trial=0.25)
    assert shared.trial_resources == {"CPU": 1.0, "GPU": 0.25}
    assert "4 trials at a time, each with 1 CPU slot and 0.25 GPU" in shared.describe()[0]


def test_what_the_user_should_know_is_noted() -> None:
    busy = ClusterResources(nodes=(Node(cpus=4, gpus=1),), free_cpus=1)
    notes = "\n".join(plan(busy, train={"workers": 2}).notes)
    for part in ("train.workers 2 does not count", "3 of 4 CPU slots are busy", "1 GPU left idle"):
        assert part in notes
    busy_gpu = ClusterResources(nodes=(Node(cpus=4, gpus=1),), free_cpus=4, free_gpus=0)
    assert "1 of 1 GPUs are busy: trials wait" in "\n".join(plan(busy_gpu, gpus_per_trial=0.5).notes)


@given(workers=st.integers(0, 5), cpus=st.integers(1, 5), cores=st.integers(1, 64), concurrency=st.sampled_from([0, 1]))
def test_a_ray_started_for_a_sweep_fills_the_cores_and_no_more(
    workers: int, cpus: int, cores: int, concurrency: int
) -> None:
    run = config(cpus_per_worker=cpus)
    settings = SweepSettings(workers_per_trial=workers, concurrency=concurrency, trials=0)
    layout = plan_trials(run, settings, machines(local_cpus_for_trials(run, settings, cores)))
    assert layout.concurrency == (concurrency or max(1, cores // (max(1, workers) * cpus)))
    assert layout.read_cpus >= 1


def test_a_large_cluster_is_planned_at_once() -> None:
    large = machines(*[96] * 400, gpus=8)
    start = time.process_time()
    assert plan(large, workers_per_trial=4, trials=0).concurrency == 7679
    with pytest.raises(TrialPlanError):
        plan(large, workers_per_trial=64, concurrency=9000, trials=0)
    assert time.process_time() - start < 1.0


def test_pairs_for_a_real_cluster() -> None:
    pairs = list(refused_and_nearest(machines(4)))
    assert len(pairs) >= 5
    for layout, nearest in pairs:
        assert refusal(layout, machines(4))
        assert refusal(nearest, machines(4)) is None
