from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.resources import ClusterResources, Node
from cluster.trial_plan import TrialPlan, plan_trials
from dclf.config import Config, ModelConfig, TrainConfig
from tune.config.sweep_settings import Scheduler, SweepSettings
from tune.runner.estimate import NESTED_START_SECONDS, START_SECONDS, estimate, listed_estimate, shortest_share
from tune.runner.probe import Probe

PROBE = Probe(
    seconds_per_epoch=2.0, share=1.0, memory_bytes=500_000_000, checkpoint_bytes=3_000_000, metrics_per_epoch=20
)
CONFIG = Config(train=TrainConfig(epochs=45))


def layout(settings: SweepSettings, cpus: int = 5) -> TrialPlan:
    return plan_trials(CONFIG, settings, ClusterResources(nodes=(Node(cpus=cpus),)))


def test_without_a_scheduler_trials_times_epochs() -> None:
    settings = SweepSettings(trials=10, scheduler="none", seeds=2)
    cost = estimate(CONFIG, settings, layout(settings), PROBE)
    trial = 2 * (START_SECONDS + 45 * 2.0)
    assert cost.seconds == pytest.approx((10 * trial / 4, 3 * trial))
    assert cost.trials == 10
    assert cost.checkpoint_bytes == ((5 + 4) * 2 + 4) * 3_000_000, "of the best five and of four that run, which write"
    assert cost.metric_rows == 10 * 2 * 45 * 20
    assert cost.memory_bytes == 4 * 500_000_000


@pytest.mark.parametrize(
    ("change", "checkpoints"),
    [
        ({}, 7 + 4 + 4),
        ({"trials": 8}, 8 + 4),
        ({"trials": 2}, 2 + 2),
        ({"seeds": 3}, 3 * (7 + 4) + 4),
        ({"test": "all"}, 20 + 4),
        ({"scheduler": "pbt"}, 20 + 4),
        ({"objectives": {"wf1": "maximize", "wa": "maximize"}}, 20 + 4),
        ({"workers_per_trial": 2}, 2 * (7 + 1) + 1),
    ],
)
def test_the_disk_holds_what_is_kept_what_runs_and_what_is_being_written(
    change: dict[str, Any], checkpoints: int
) -> None:
    settings = replace(SweepSettings(trials=20, scheduler="none", keep=7), **change)
    cost = estimate(CONFIG, settings, layout(settings), PROBE)
    assert cost.checkpoint_bytes == checkpoints * PROBE.checkpoint_bytes


def test_a_list_costs_what_each_of_its_models_costs() -> None:
    dear = replace(PROBE, seconds_per_epoch=20.0, checkpoint_bytes=90_000_000, memory_bytes=2_000_000_000)
    configs = [replace(CONFIG, model=ModelConfig(name=name)) for name in ("mmgcn", "sdt")]
    configs[0] = replace(configs[0], train=TrainConfig(epochs=10))
    settings = SweepSettings(trials=2, sampler="listed", scheduler="none", seeds=2, test="all")
    cost = listed_estimate(configs, settings, layout(settings, cpus=3), {"mmgcn": PROBE, "sdt": dear})
    cheap, long = START_SECONDS + 10 * 2.0, START_SECONDS + 45 * 20.0
    assert cost.seconds == pytest.approx((cheap + long, cheap + long + long / 2)), (
        "two trainings of each, two at a time"
    )
    assert cost.metric_rows == 2 * (10 + 45) * 20
    assert cost.checkpoint_bytes == 3 * (3_000_000 + 90_000_000), "two seeds of each, and one being written by each"
    assert cost.memory_bytes == 2 * 2_000_000_000


def test_asha_s_rungs_by_hand() -> None:
    # All trials train 5 epochs, a third goes on to 15 and a ninth to 45.
    share = shortest_share(CONFIG, SweepSettings(scheduler="asha", grace_epochs=5))
    assert share == pytest.approx((5 + 10 / 3 + 30 / 9) / 45)


@pytest.mark.parametrize(("scheduler", "share"), [("median", (5 + 45) / 90), ("none", 1.0), ("pbt", 1.0)])
def test_other_schedulers(scheduler: Scheduler, share: float) -> None:
    assert shortest_share(CONFIG, SweepSettings(scheduler=scheduler)) == pytest.approx(share)


def test_the_first_trials_are_never_ended_early() -> None:
    spared = SweepSettings(trials=10, startup_trials=10)
    asha = estimate(CONFIG, spared, layout(spared), PROBE)
    none = estimate(CONFIG, replace(spared, scheduler="none"), layout(spared), PROBE)
    assert asha.seconds == none.seconds


def test_time_bounds_the_sweep() -> None:
    settings = SweepSettings(trials=0, time="10min", scheduler="none")
    cost = estimate(CONFIG, settings, layout(settings), PROBE)
    assert cost.seconds == pytest.approx((600.0, 7 * 90.5)), "trials that run when the time is up are finished"
    assert cost.trials == 4 * 7
    assert estimate(CONFIG, replace(settings, trials=4), layout(settings), PROBE).seconds[1] < 100


def test_workers_share_a_trial_and_cost_their_start() -> None:
    settings = SweepSettings(trials=1, scheduler="none", workers_per_trial=2)
    cost = estimate(CONFIG, settings, layout(settings), PROBE)
    assert cost.seconds[1] == pytest.approx(NESTED_START_SECONDS + 45.0)
    assert cost.memory_bytes == 2 * 500_000_000


def test_a_grid_has_no_more_trials_than_combinations() -> None:
    settings = SweepSettings(trials=50, sampler="grid")
    assert estimate(CONFIG, settings, layout(settings), PROBE, 12).trials == 12
    assert estimate(CONFIG, replace(settings, trials=0), layout(settings), PROBE, 12).trials == 12
    assert estimate(CONFIG, replace(settings, trials=5), layout(settings), PROBE, 12).trials == 5


@given(
    trials=st.integers(1, 200),
    epochs=st.integers(1, 100),
    grace=st.integers(1, 120),
    startup=st.integers(0, 50),
    scheduler=st.sampled_from(["none", "asha", "median", "hyperband", "pbt"]),
    concurrency=st.integers(0, 4),
    time=st.sampled_from(["", "1min", "30d"]),
)
def test_the_shortest_time_is_never_longer_than_the_longest(
    trials: int, epochs: int, grace: int, startup: int, scheduler: Scheduler, concurrency: int, time: str
) -> None:
    settings = SweepSettings(
        trials=trials,
        grace_epochs=grace,
        startup_trials=startup,
        scheduler=scheduler,
        concurrency=concurrency,
        time=time,
    )
    config = Config(train=TrainConfig(epochs=epochs))
    low, high = estimate(config, settings, layout(settings), PROBE).seconds
    assert 0 < low <= high + 1e-9
    assert 0 < shortest_share(config, settings) <= 1 + 1e-12
