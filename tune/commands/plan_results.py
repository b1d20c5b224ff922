"""Prints what a sweep would run, for people or as one line of JSON."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.trial_plan import TrialPlan
from dclf.config import Config
from dclf.data.storage import is_remote
from dclf.prose import quantity, size_text
from tune.commands.options import print_json
from tune.config.durations import duration
from tune.config.sweep_settings import SweepSettings
from tune.progress.texts import budget_text, params_text

if TYPE_CHECKING:
    from tune.runner.estimate import Estimate
    from tune.runner.probe import Probe
    from tune.search.space import Space

STARTS_SHOWN = 3
SURE_SHARE = 0.999
"""From this share of the utterances on, the probe has seen whole epochs."""


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """A sweep that would run.

    Attributes:
        name: of the study; empty for one that is made up.
        config: the base configuration.
        settings: of the sweep.
        space: what is searched.
        combinations: how many configurations there are; None where they cannot be counted.
        starts: overrides of the first trials.
        layout: slots.
        costs: base model -> what its probe measured; empty without one.
        estimate: time, bytes and memory; None without a probe.
    """

    name: str
    config: Config
    settings: SweepSettings
    space: Space
    combinations: int | None
    starts: list[dict[str, Any]]
    layout: TrialPlan
    costs: Mapping[str, Probe]
    estimate: Estimate | None


def print_plan(plan: SweepPlan, *, as_json: bool) -> None:
    """Print the plan."""
    if as_json:
        print_json(plan_result(plan))
        return
    for name, text in _lines(plan):
        print(f"{name:<9} {text}".rstrip())


def plan_result(plan: SweepPlan) -> dict[str, Any]:
    """The plan as JSON has it; seconds and bytes."""
    return {
        "name": plan.name,
        "settings": plan.settings.to_dict(),
        "space": plan.space.spec,
        "combinations": plan.combinations,
        "start_points": plan.starts,
        "layout": asdict(plan.layout),
        "probes": {model: asdict(cost) for model, cost in plan.costs.items()},
        "estimate": None if plan.estimate is None else asdict(plan.estimate),
        "warnings": [] if plan.estimate is None else _warnings(plan, plan.estimate),
    }


def _warnings(plan: SweepPlan, estimate: Estimate) -> list[str]:
    wants = {"disk": _disk_want(plan, estimate), "memory": _memory_want(estimate)}
    return [f"{name}: {want}" for name, want in wants.items() if want]


def _lines(plan: SweepPlan) -> Iterator[tuple[str, str]]:
    settings, config = plan.settings, plan.config
    objectives = ", ".join(f"{direction} validation {name}" for name, direction in settings.objectives.items())
    scheduler = "" if settings.scheduler == "none" else f" and {settings.scheduler}"
    seeds = f", {settings.seeds} seeds each" if settings.seeds > 1 else ""
    if settings.test == "all":
        yield "compares", f"{quantity(settings.trials, 'variant')}{seeds}; {objectives}"
    else:
        yield "search", f"{budget_text(settings)}{seeds} by {settings.sampler}{scheduler}; {objectives}"
    yield "training", f"{config.model.name} on {config.data.shards}, {config.train.epochs} epochs"
    yield from _space_lines(plan)
    for place, line in enumerate(plan.layout.describe()):
        yield "" if place else "layout", line
    if plan.estimate is not None:
        yield from _probe_lines(plan.costs)
        yield from _cost_lines(plan, plan.estimate)


def _space_lines(plan: SweepPlan) -> Iterator[tuple[str, str]]:
    space = plan.space
    width = max(map(len, space.domains), default=0)
    for place, (key, domain) in enumerate(space.domains.items()):
        when = " and ".join(
            f"{one.key} is {' or '.join(map(str, one.values))}" for one in space.conditions.get(key, ())
        )
        words = [str(domain), *(["logarithmic"] if domain.spec.get("log") else []), *([f"when {when}"] if when else [])]
        yield "" if place else "space", f"{key:<{width}}  {', '.join(words)}"
    if plan.combinations is not None:
        yield "", f"{plan.combinations:,} combinations"
    for place, point in enumerate(plan.starts[:STARTS_SHOWN]):
        yield "" if place else "first", params_text(point)
    if len(plan.starts) > STARTS_SHOWN:
        yield "", f"and {len(plan.starts) - STARTS_SHOWN} more"


def _probe_lines(costs: Mapping[str, Probe]) -> Iterator[tuple[str, str]]:
    for place, (model, cost) in enumerate(costs.items()):
        of = model if len(costs) > 1 else "the base configuration"
        part = "" if cost.share > SURE_SHARE else f", from {cost.share:.1%} of the utterances"
        yield "" if place else "probe", f"{cost.seconds_per_epoch:.2g} s an epoch of {of}{part}"


def _cost_lines(plan: SweepPlan, estimate: Estimate) -> Iterator[tuple[str, str]]:
    low, high = (duration(seconds) for seconds in estimate.seconds)
    why = "" if plan.settings.sampler == "listed" else ", as the scheduler ends many trials early or none"
    span = low if low == high else f"{low} to {high}{why}"
    about = "" if plan.settings.trials else f" for {estimate.trials} trials or more"
    yield "time", f"{span}{about}"
    room = _warning(_disk_want(plan, estimate))
    yield "disk", f"{size_text(estimate.checkpoint_bytes)} of checkpoints in {plan.settings.storage}{room}"
    yield "", f"up to {estimate.metric_rows:,} metric values in MLflow, {size_text(estimate.metric_bytes)}"
    most = f"{size_text(estimate.memory_bytes)} for the {plan.layout.task_name}s that run at a time"
    yield "memory", f"{most}{_warning(_memory_want(estimate))}"


def _warning(want: str) -> str:
    return f"; warning: {want}" if want else ""


def _disk_want(plan: SweepPlan, estimate: Estimate) -> str:
    """How much room the disk has where the checkpoints need more; else empty."""
    if is_remote(plan.settings.storage):
        return ""
    folder = Path(plan.settings.storage).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    return f"only {size_text(free)} are free there" if estimate.checkpoint_bytes > free else ""


def _memory_want(estimate: Estimate) -> str:
    """How much memory this machine has where all trials need more; else empty."""
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"this machine has {size_text(has)}" if estimate.memory_bytes > has else ""
