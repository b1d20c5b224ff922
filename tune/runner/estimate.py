"""How long a sweep will take and how much it will write, from the cost of one epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from cluster.plan import CHECKPOINTS_KEPT
from cluster.trial_plan import TrialPlan
from dclf.config import Config
from tune.config.durations import parse_duration
from tune.config.sweep_settings import SweepSettings
from tune.runner.probe import Probe
from tune.search.pruners import REDUCTION

START_SECONDS = 0.5
"""A training's fixed cost in a process that is kept from trial to trial."""
NESTED_START_SECONDS = 20.0
"""A training's fixed cost where it has workers of its own."""
ROW_BYTES = 180
"""Of one metric in MLflow's SQLite store, with its share of the indices."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a sweep will take, roughly.

    Attributes:
        trials: in all; where only time bounds the sweep, as many as it has time for if none ends early.
        seconds: shortest and longest wall time: the scheduler ends as many trials as it can, or none. Trials that run
            when the time is up are finished.
        checkpoint_bytes: on disk at a time, at most: a search deletes what it needs no more, see ``tune.runner.tidy``.
        metric_rows: most numbers that MLflow gets.
        metric_bytes: of those.
        memory_bytes: of all that runs at a time; for the machines together.
    """

    trials: int
    seconds: tuple[float, float]
    checkpoint_bytes: int
    metric_rows: int
    metric_bytes: int
    memory_bytes: int


def estimate(
    config: Config, settings: SweepSettings, plan: TrialPlan, probe: Probe, combinations: int | None = None
) -> Estimate:
    """Reckon with what was measured.

    Args:
        config: the base configuration.
        settings: of the sweep.
        plan: how many tasks run at a time.
        probe: the cost of an epoch of the base configuration.
        combinations: how many trials there can be at most, as of a grid or list; None for no bound.
    """
    budget = parse_duration(settings.time) if settings.time else float("inf")
    longest = _task_seconds(config, settings, plan, probe, 1.0)
    trials = _trials(settings, combinations) or ceil(_within(budget, longest, plan) / settings.tasks_per_trial)
    shortest_task = _task_seconds(config, settings, plan, probe, shortest_share(config, settings))
    tasks, startup = (count * settings.tasks_per_trial for count in (trials, min(settings.startup_trials, trials)))
    shortest = (startup * longest + (tasks - startup) * shortest_task) / plan.concurrency
    rows = trials * settings.seeds * config.train.epochs * probe.metrics_per_epoch
    return Estimate(
        trials=trials,
        seconds=(min(budget, max(shortest, shortest_task)), min(budget + longest, _waves(tasks, plan) * longest)),
        checkpoint_bytes=_checkpoints(settings, trials, plan) * probe.checkpoint_bytes,
        metric_rows=rows,
        metric_bytes=rows * ROW_BYTES,
        memory_bytes=plan.concurrency * max(1, plan.workers_per_trial) * probe.memory_bytes,
    )


def listed_estimate(
    configs: Sequence[Config], settings: SweepSettings, plan: TrialPlan, probes: Mapping[str, Probe]
) -> Estimate:
    """Reckon with what was measured of each base model.

    Args:
        configs: of the trials, none of which ends early.
        settings: of the sweep.
        plan: how many tasks run at a time.
        probes: name of a base model -> the cost of its epoch.
    """
    costs = [(config, probes[config.model.name]) for config in configs]
    each = [_task_seconds(config, settings, plan, cost, 1.0) for config, cost in costs]
    # A slot is never idle while a task waits, so the last one to start does so by an equal share of all seconds.
    shared = sum(each) * settings.tasks_per_trial / plan.concurrency
    budget = parse_duration(settings.time) if settings.time else float("inf")
    rows = sum(settings.seeds * config.train.epochs * cost.metrics_per_epoch for config, cost in costs)
    checkpoints_per_trial = _checkpoints(settings, len(configs), plan) / len(configs)
    return Estimate(
        trials=len(configs),
        seconds=(
            min(budget, max(shared, *each)),
            min(budget + max(each), shared + max(each) * (1 - 1 / plan.concurrency)),
        ),
        checkpoint_bytes=round(checkpoints_per_trial * sum(cost.checkpoint_bytes for _, cost in costs)),
        metric_rows=rows,
        metric_bytes=rows * ROW_BYTES,
        memory_bytes=plan.concurrency
        * max(1, plan.workers_per_trial)
        * max(cost.memory_bytes for cost in probes.values()),
    )


def shortest_share(config: Config, settings: SweepSettings) -> float:
    """The share of its epochs that a trial trains on average where the scheduler ends all that it may."""
    epochs, grace = config.train.epochs, min(max(settings.grace_epochs, 1), config.train.epochs)
    if settings.scheduler in ("none", "pbt"):
        return 1.0
    if settings.scheduler == "median":
        return (grace + epochs) / (2 * epochs)
    return sum(_rung_epochs(grace, epochs)) / epochs


def _rung_epochs(grace: int, epochs: int) -> Iterator[float]:
    """Epochs between one rung and the next, times the share of trials that get there."""
    begin, end, going_on = 0, grace, 1.0
    while begin < epochs:
        yield going_on * (min(end, epochs) - begin)
        begin, end, going_on = end, end * REDUCTION, going_on / REDUCTION


def _task_seconds(config: Config, settings: SweepSettings, plan: TrialPlan, probe: Probe, share: float) -> float:
    """One task (``SweepSettings.tasks``) that trains a share of its epochs; its workers, if any, divide them."""
    workers = max(1, plan.workers_per_trial)
    start = NESTED_START_SECONDS if plan.workers_per_trial else START_SECONDS
    epochs = share * config.train.epochs * probe.seconds_per_epoch / workers
    return settings.seeds / settings.tasks_per_trial * (start + epochs)


def _checkpoints(settings: SweepSettings, trials: int, plan: TrialPlan) -> int:
    """Most checkpoints on disk at a time: of the trials that keep theirs or run, and one being written by each."""
    each = settings.seeds * (CHECKPOINTS_KEPT if plan.workers_per_trial else 1)
    running = min(trials * settings.tasks_per_trial, plan.concurrency)
    # A comparison scores every trial at its end, a population starts from one another's, a front may hold them all.
    all_stay = settings.test == "all" or settings.scheduler == "pbt" or len(settings.objectives) > 1
    keepers = trials if all_stay else min(trials, settings.keep + running)
    return keepers * each + running


def _trials(settings: SweepSettings, combinations: int | None) -> int:
    """How many there are; 0 where only time bounds them."""
    if combinations is not None:
        return min(settings.trials or combinations, combinations)
    return settings.trials


def _within(budget: float, seconds: float, plan: TrialPlan) -> int:
    """Tasks that start before the time is up; those that run then are finished."""
    return ceil(budget / seconds) * plan.concurrency


def _waves(tasks: int, plan: TrialPlan) -> int:
    return ceil(tasks / plan.concurrency)
