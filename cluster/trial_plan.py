"""Whether the trials of a sweep fit a cluster, and how many run at a time, decided before any of them starts.

A trial in its own process holds its CPU slots and a share of one GPU. A trial of several workers holds a slot for its
driver, which waits most of the time, and its workers' slots, on whatever machines Ray puts them. One whole CPU slot
must stay free, or no trial can read its data and all wait for ever. A layout is accepted only if it fits wherever Ray
puts the parts (``cluster.trial_room``); a refusal names the nearest one that is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cluster.machine import machine_cpus, machine_gpus
from cluster.plan import READ_CPUS, SMALLEST_SHARE, PlanError
from cluster.resources import ClusterResources, Node
from cluster.trial_layout import Change, TrialLayout, TrialSettings, smaller
from cluster.trial_room import room_for
from dclf.config import Config
from dclf.prose import quantity


class TrialPlanError(PlanError):
    """The trials do not fit the cluster.

    Attributes:
        nearest: dotted key -> value: the change to the nearest layout that fits; empty where none fits this cluster.
    """

    def __init__(self, message: str, nearest: Change) -> None:
        self.nearest = nearest
        values = " and ".join(f"{key} to {_text(value)}" for key, value in nearest.items())
        super().__init__(f"{message}; {f'set {values}' if values else 'use a larger cluster'}")


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """How a sweep is laid out.

    Attributes:
        concurrency: trials, or trainings, at a time.
        workers_per_trial: 0 for trials that train in their own process.
        driver_cpus: CPU slots that a trial of several workers holds for itself; 0 where the trial is its own worker.
        cpus_per_worker: CPU slots, and threads, of each training process.
        gpus_per_worker: GPUs of each training process; a fraction shares one.
        read_cpus: CPU slots left for reading while all trials run.
        cache_mb: MiB of dialogues kept on each machine.
        device: what the trials compute on.
        task_name: what one of them is.
        notes: what the user should know, one sentence each.
    """

    concurrency: int
    workers_per_trial: int
    driver_cpus: int
    cpus_per_worker: int
    gpus_per_worker: float
    read_cpus: int
    cache_mb: int
    device: Literal["cpu", "gpu"]
    task_name: str = "trial"
    notes: tuple[str, ...] = ()

    @property
    def trial_resources(self) -> dict[str, float]:
        """What Ray Tune reserves for one trial; the workers of a trial reserve their own."""
        if self.workers_per_trial:
            return {"CPU": float(self.driver_cpus)}
        slots = {"CPU": float(self.cpus_per_worker), "GPU": self.gpus_per_worker}
        return {name: count for name, count in slots.items() if count}

    def describe(self) -> list[str]:
        """Lines for the terminal."""
        slots = quantity(self.cpus_per_worker, "CPU slot")
        slots += f" and {self.gpus_per_worker:g} GPU" if self.gpus_per_worker else ""
        if self.workers_per_trial:
            workers = f"{quantity(self.workers_per_trial, 'worker')} of {slots}"
            slots = f"{quantity(self.driver_cpus, 'CPU slot')} for itself and {workers}"
        line = f"{quantity(self.concurrency, self.task_name)} at a time, each with {slots}"
        reading = f"{quantity(self.read_cpus, 'CPU slot')} for reading"
        return [f"{line}; {reading}, up to {self.cache_mb} MiB of dialogues kept on each machine", *self.notes]


def plan_trials(config: Config, settings: TrialSettings, resources: ClusterResources) -> TrialPlan:
    """Lay out a sweep on a cluster.

    Args:
        config: the base configuration; ``cpus_per_worker``, ``device`` and ``batch_size`` of ``train`` count.
        settings: the sweep's settings.
        resources: what the cluster has.

    Raises:
        TrialPlanError: the trials would wait for ever, or contradict the configuration; says what to change.
    """
    layout = TrialLayout.of(config, settings)
    concurrency = concurrency_of(layout, resources)
    return TrialPlan(
        concurrency=concurrency,
        workers_per_trial=layout.workers,
        driver_cpus=layout.driver_cpus,
        cpus_per_worker=layout.cpus,
        gpus_per_worker=layout.gpus_per_worker,
        read_cpus=resources.cpus - concurrency * layout.trial_cpus,
        cache_mb=layout.cache_mb,
        device="gpu" if layout.gpus else "cpu",
        task_name=layout.task_name,
        notes=(*_train_notes(config), *_notes(layout, concurrency, resources)),
    )


def concurrency_of(layout: TrialLayout, resources: ClusterResources) -> int:
    """How many trials run at a time.

    Raises:
        TrialPlanError: none can, or not as many as asked for.
    """
    if contradiction := next(_contradictions(layout), None):
        message, change = contradiction
        raise TrialPlanError(message, _remedy(layout, change, resources))
    room = room_for(layout, resources)
    concurrency = layout.concurrency or max(room, 1)
    concurrency = min(concurrency, layout.tasks) if layout.tasks else concurrency
    if concurrency > room:
        raise TrialPlanError(_too_large(layout, concurrency, resources), _nearest(layout, resources))
    return concurrency


def local_cpus_for_trials(config: Config, settings: TrialSettings, cores: int) -> int:
    """CPU slots of a Ray started for a sweep alone on a machine of so many cores.

    Trials compute on no more threads than there are cores, save for one that is larger by itself; the drivers of trials
    and reading wait most of the time and get slots of their own.
    """
    layout = TrialLayout.of(config, settings)
    at_a_time = max(1, cores // layout.computing_cpus)
    return max(cores, at_a_time * layout.trial_cpus) + READ_CPUS


def local_trial_resources(config: Config, settings: TrialSettings) -> ClusterResources:
    """What a Ray started for this sweep alone on this machine will have; Ray itself is not needed to tell."""
    cpus = local_cpus_for_trials(config, settings, machine_cpus())
    gpus = machine_gpus() if config.train.device != "cpu" else 0
    return ClusterResources(nodes=(Node(cpus=cpus, gpus=gpus),))


def _contradictions(layout: TrialLayout) -> Iterator[tuple[str, Change]]:
    """Layouts that no cluster can run, and what mends them."""
    workers, gpus = layout.workers, layout.gpus
    if workers > layout.batch_size:
        yield (
            f"sweep.workers_per_trial: must be at most train.batch_size, {layout.batch_size}, is {workers}",
            {"sweep.workers_per_trial": layout.batch_size, "sweep.gpus_per_trial": min(gpus, layout.batch_size)},
        )
    if layout.device == "gpu" and not gpus:
        yield (
            "train.device: gpu needs GPUs for the trials, but sweep.gpus_per_trial is 0",
            {"sweep.gpus_per_trial": max(1, workers)},
        )
    if layout.device == "cpu" and gpus:
        yield f"sweep.gpus_per_trial: must be 0 with train.device cpu, is {gpus:g}", {"sweep.gpus_per_trial": 0}
    if 0 < gpus < SMALLEST_SHARE:
        yield (
            f"sweep.gpus_per_trial: must be 0 or at least {SMALLEST_SHARE:g}, is {gpus:g}",
            {"sweep.gpus_per_trial": SMALLEST_SHARE},
        )
    if workers > 1 and gpus not in (0, workers):
        yield (
            f"sweep.gpus_per_trial: must be 0 or {workers}, a whole GPU for each worker of a trial, is {gpus:g}",
            {"sweep.gpus_per_trial": workers},
        )
    if workers <= 1 and gpus > 1:
        yield (
            f"sweep.gpus_per_trial: must be at most 1 unless sweep.workers_per_trial is above 1, is {gpus:g}",
            {"sweep.gpus_per_trial": 1},
        )


def _remedy(layout: TrialLayout, change: Change, resources: ClusterResources) -> Change:
    """Return the change that makes the layout possible, and then fit, if any does."""
    candidate = layout.changed(change)
    try:
        concurrency_of(candidate, resources)
    except TrialPlanError as error:
        return layout.change_to(candidate.changed(error.nearest)) if error.nearest else {}
    return layout.change_to(candidate)


def _nearest(layout: TrialLayout, resources: ClusterResources) -> Change:
    for candidate in smaller(layout, resources.cpus, resources.gpus):
        if room := room_for(candidate, resources):
            fewer: Change = {"sweep.concurrency": room} if layout.concurrency > room else {}
            return layout.change_to(candidate.changed(fewer))
    return {}


def _too_large(layout: TrialLayout, concurrency: int, resources: ClusterResources) -> str:
    if layout.gpus and not resources.gpus:
        return f"sweep.gpus_per_trial {layout.gpus:g} needs a GPU, there is none"
    trials = f"sweep.concurrency {concurrency}" if concurrency > 1 else f"one {layout.task_name}"
    workers = f"sweep.workers_per_trial {layout.workers} and " if layout.workers else ""
    needs = quantity(concurrency * layout.trial_cpus + READ_CPUS, "CPU slot")
    gpus = f" and {concurrency * layout.gpus:g} GPUs" if layout.gpus else ""
    drivers = f", one for each {layout.task_name} beside its workers" if layout.workers else ""
    return (
        f"{trials} with {workers}train.cpus_per_worker {layout.cpus} needs {needs}{gpus} (one is for reading the data"
        f"{drivers}; a worker cannot span machines or GPUs), there are {_has(layout, resources)}"
    )


def _has(layout: TrialLayout, resources: ClusterResources) -> str:
    largest = max((int(node.cpus) for node in resources.nodes), default=0)
    on = f"on {quantity(len(resources.nodes), 'machine')}, at most {largest} on one"
    return f"{resources.cpus} {on}{f' and {resources.gpus} GPUs' if layout.gpus else ''}"


def _train_notes(config: Config) -> Iterator[str]:
    if config.train.workers != 1:
        yield f"train.workers {config.train.workers} does not count in a sweep, sweep.workers_per_trial does"


def _notes(layout: TrialLayout, concurrency: int, resources: ClusterResources) -> Iterator[str]:
    if concurrency < layout.concurrency:
        yield f"{concurrency} at a time instead of {layout.concurrency}, as there are no more {layout.task_name}s"
    outcome = f"{layout.task_name}s wait until enough are free"
    cpus = concurrency * layout.trial_cpus + READ_CPUS
    yield from resources.busy_notes(cpus, outcome, gpus=concurrency * layout.gpus)
    if resources.gpus and not layout.gpus and layout.device != "cpu":
        idle = quantity(resources.gpus, "GPU")
        yield f"{idle} left idle: give each {layout.task_name} a share with sweep.gpus_per_trial"


def _text(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, int | float) else value
