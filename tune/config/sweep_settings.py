"""What a sweep searches and how: the ``sweep`` section of a configuration file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

_SET = ("trials", "time", "sampler", "scheduler", "seeds", "space", "test", "start_points", "warm_start")
SET_KEYS = tuple(f"sweep.{name}" for name in _SET)
"""Keys of a sweep that a comparison decides: every variant is trained to its end, with every seed."""
Scheduler = Literal["none", "asha", "median", "hyperband", "pbt"]


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """A search over configurations.

    Attributes:
        trials: how many trials to run; 0 for as many as ``time`` allows.
        time: wall-clock budget such as ``90min`` or ``12h``, over all resumptions; empty for none. Trials that run
            when it ends are finished.
        sampler: where new trials come from: tpe, gp, cmaes, random, grid, nsga2, listed (the start points and nothing
            else), one of an installed package, or a class path `module:Class`.
        scheduler: which trials are ended early; ``pbt`` trains a population instead.
        objectives: validation score -> ``maximize`` or ``minimize``; the first one prunes and ranks. Of
            several, the first two pick one trial of the front, see docs/sweeps.md.
        seeds: trainings per trial, with seeds ``train.seed``, ``train.seed`` + 1, ...; the trial's value is their mean.
            A search runs them one after the other, a comparison (``test: all``) beside one another.
        seed: of the sampler.
        startup_trials: random trials before the sampler and the scheduler start to learn.
        grace_epochs: epochs that every trial gets before it may be ended.
        stop_at: end the sweep once a trial reaches this value of the first objective; null for never.
        stop_after: end the sweep after so many finished trials without a better one; 0 for never.
        space: dotted key -> domain, see docs/sweeps.md; empty for the default space over gamma_ca, gamma_mc,
            W, tau and the forms of CACL.
        start_points: configurations to try first, dotted key -> value each, after the base configuration itself,
            which ``listed`` leaves out.
        warm_start: names of earlier studies of the same storage whose finished trials the sampler knows.
        concurrency: trials at a time, of a comparison trainings; 0 for as many as the plan finds room for.
        workers_per_trial: 0 trains in the trial's own process; more go through Ray Train.
        gpus_per_trial: GPUs of a trial, a fraction shares one.
        checkpoint_s: seconds after which a trial in its own process writes a checkpoint and tells the driver of its
            epochs, of which a kill costs those since the last one; 0 for after every epoch.
        cache_mb: MiB of dialogues that are read once and kept for all trials of a machine.
        test: which complete trials are scored on the sealed test split, once, when all have ended: the ``best`` and, to
            know its gain, the base configuration; or ``all`` where every configuration is reported and none is chosen.
        keep: how many of the best trials keep their checkpoints, by the first objective; those of the Pareto front do
            with several objectives.
        storage: folder of studies, or a URI of one (s3://, gs://).
        optuna: URL of a database of Optuna's that gets a copy of the study whenever a driver ends; empty for none.
    """

    trials: int = 50
    time: str = ""
    sampler: str = "tpe"
    scheduler: Scheduler = "asha"
    objectives: dict[str, str] = field(default_factory=lambda: {"wf1": "maximize"})
    seeds: int = 1
    seed: int = 0
    startup_trials: int = 10
    grace_epochs: int = 5
    stop_at: float | None = None
    stop_after: int = 0
    space: dict[str, Any] = field(default_factory=dict)
    start_points: tuple[dict[str, Any], ...] = ()
    warm_start: tuple[str, ...] = ()
    concurrency: int = 0
    workers_per_trial: int = 0
    gpus_per_trial: float = 0.0
    checkpoint_s: float = 4.0
    cache_mb: int = 1024
    test: Literal["best", "all"] = "best"
    keep: int = 5
    storage: str = "dclf-runs/studies"
    optuna: str = ""

    @property
    def minimizes(self) -> bool:
        """Whether the first objective, which prunes and ranks, is better when it is smaller."""
        return next(iter(self.objectives.values())) == "minimize"

    @property
    def parallel_seeds(self) -> bool:
        """Whether the trainings of a trial run beside one another: a comparison decides on none of them."""
        return self.test == "all"

    @property
    def task_name(self) -> str:
        """What runs by itself: a trial, or each training of it (``parallel_seeds``)."""
        return "training" if self.parallel_seeds else "trial"

    @property
    def tasks_per_trial(self) -> int:
        """How many of these a trial has."""
        return self.seeds if self.parallel_seeds else 1

    @property
    def tasks(self) -> int:
        """How many there are in all; 0 for an open number."""
        return self.trials * self.tasks_per_trial

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, as they stand in a YAML file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SweepSettings:
        """The inverse of ``to_dict``.

        Raises:
            TypeError: a key is unknown.
        """
        lists = {key: tuple(data[key]) for key in ("start_points", "warm_start") if key in data}
        return cls(**{**data, **lists})


_STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def study_name_problem(name: str) -> str:
    """What is wrong with a study's name, which is a folder's too; empty where nothing is."""
    if _STUDY_NAME.fullmatch(name):
        return ""
    return (
        "a study's name must be 1 to 100 letters, digits, dots, dashes and underscores and begin with a letter or "
        f"digit, is {name!r}"
    )
