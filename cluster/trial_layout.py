"""How the trials of a sweep are to be laid out, and which smaller layouts come next to one that does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from dclf.config import Config

Change = dict[str, int | float | str]
"""Dotted key of a configuration -> another value."""
DRIVER_CPUS = 1
"""CPU slots of a trial whose workers are other processes."""


class TrialSettings(Protocol):
    """What a layout reads of a sweep's settings, under the names that they have there."""

    @property
    def tasks(self) -> int:
        """What runs by itself, in all: trials, or the trainings of all trials; 0 for an open number."""

    @property
    def task_name(self) -> str:
        """What one of them is, trial or training."""

    @property
    def concurrency(self) -> int:
        """Tasks at a time; 0 for as many as fit."""

    @property
    def workers_per_trial(self) -> int:
        """Workers of a trial; 0 trains in the trial's own process."""

    @property
    def gpus_per_trial(self) -> float:
        """GPUs of a trial; a fraction shares one."""

    @property
    def cache_mb(self) -> int:
        """MiB of dialogues kept on each machine."""


@dataclass(frozen=True, kw_only=True)
class TrialLayout:
    """The values of configuration and settings that decide where trials run.

    Attributes:
        tasks: trials, or trainings, in all; 0 for an open number.
        task_name: what one of them is; all that is said here of a trial holds for a training too.
        concurrency: tasks at a time; 0 for as many as fit.
        workers: workers of a trial; 0 trains in the trial's own process.
        gpus: GPUs of a trial; a fraction shares one.
        cpus: CPU slots of each training process.
        device: ``train.device``.
        batch_size: ``train.batch_size``, which the workers of a trial share.
        cache_mb: MiB of dialogues kept on each machine.
    """

    tasks: int = 0
    task_name: str = "trial"
    concurrency: int = 0
    workers: int = 0
    gpus: float = 0.0
    cpus: int = 1
    device: str = "auto"
    batch_size: int = 16
    cache_mb: int = 1024

    @classmethod
    def of(cls, config: Config, settings: TrialSettings) -> TrialLayout:
        """What the base configuration and a sweep's settings ask for."""
        return cls(
            tasks=settings.tasks,
            task_name=settings.task_name,
            concurrency=settings.concurrency,
            workers=settings.workers_per_trial,
            gpus=settings.gpus_per_trial,
            cpus=config.train.cpus_per_worker,
            device=config.train.device,
            batch_size=config.train.batch_size,
            cache_mb=settings.cache_mb,
        )

    @property
    def gpus_per_worker(self) -> float:
        """GPUs of each training process."""
        return self.gpus / max(1, self.workers)

    @property
    def driver_cpus(self) -> int:
        """Slots of the trial itself, beside its workers'."""
        return DRIVER_CPUS if self.workers else 0

    @property
    def computing_cpus(self) -> int:
        """Slots of all training processes of a trial."""
        return max(1, self.workers) * self.cpus

    @property
    def trial_cpus(self) -> int:
        """Slots of the whole trial."""
        return self.driver_cpus + self.computing_cpus

    def changed(self, change: Mapping[str, int | float | str]) -> TrialLayout:
        """The layout with other values."""
        return replace(self, **{_FIELDS[key]: value for key, value in change.items()})  # type: ignore[arg-type]

    def change_to(self, other: TrialLayout) -> Change:
        """What turns this layout into the other."""
        changes = {key: getattr(other, name) for key, name in _FIELDS.items()}
        return {key: value for key, value in changes.items() if value != getattr(self, _FIELDS[key])}


_FIELDS = {
    "sweep.concurrency": "concurrency",
    "sweep.workers_per_trial": "workers",
    "sweep.gpus_per_trial": "gpus",
    "train.cpus_per_worker": "cpus",
    "train.device": "device",
}


def smaller(layout: TrialLayout, cpus: int, gpus: int) -> Iterator[TrialLayout]:
    """Layouts that take less of a cluster with so many slots than this one, the nearest first.

    Without GPUs before with fewer workers, where there are none; then fewer workers, then fewer slots for each, at last
    a trial in its own process on CPUs.
    """
    start = layout if gpus else _on_cpus(layout)
    yield start
    for workers in range(min(layout.workers - 1, cpus), 0, -1):
        yield _with_workers(start, workers)
    single = _with_workers(start, min(1, layout.workers))
    for last in (single, replace(_on_cpus(start), workers=0)):
        for slots in range(min(layout.cpus, cpus), 0, -1):
            yield replace(last, cpus=slots)


def _with_workers(layout: TrialLayout, workers: int) -> TrialLayout:
    return replace(layout, workers=workers, gpus=layout.gpus_per_worker * max(1, workers))


def _on_cpus(layout: TrialLayout) -> TrialLayout:
    device = "auto" if layout.device == "gpu" else layout.device
    return replace(layout, gpus=0.0, device=device) if layout.gpus else layout
