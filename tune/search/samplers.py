"""Optuna's samplers, and those of other packages: where the next configuration comes from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study

from dclf.extensions import ExtensionError, ExtensionPoint
from tune.config.sweep_settings import SweepSettings
from tune.search.domains import Choices, Numbers
from tune.search.grid import UncountableError
from tune.search.grid_sampler import GridSampler
from tune.search.space import Space

SAMPLERS = ExtensionPoint(
    "dclf.samplers",
    "sampler",
    {
        "tpe": "optuna.samplers:TPESampler",
        "gp": "optuna.samplers:GPSampler",
        "cmaes": "optuna.samplers:CmaEsSampler",
        "random": "optuna.samplers:RandomSampler",
        "grid": "tune.search.grid_sampler:GridSampler",
        "nsga2": "optuna.samplers:NSGAIISampler",
        "listed": "optuna.samplers:RandomSampler",
    },
)
"""Those that ship are set up below by the settings of the sweep; all others are called with a seed alone."""


def search_seed(settings: SweepSettings, trials: int) -> int:
    """The seed of a sampler that starts or resumes with so many known trials.

    A resumed sweep must not draw again what its first trials drew, and must draw the same whenever it is resumed here.
    """
    return int(np.random.SeedSequence([settings.seed, trials]).generate_state(1)[0])


def make_sampler(settings: SweepSettings, space: Space, search_seed: int) -> BaseSampler:
    """The sampler that the settings name.

    Args:
        settings: sampler, seed, trials, objectives, scheduler and startup_trials.
        space: what is searched; without problems.
        search_seed: see ``search_seed``.

    Raises:
        UncountableError: a grid over a parameter without a step.
        ExtensionError: as ``own_sampler``.
    """
    with warnings.catch_warnings():
        # Options that Optuna may still change: its version is pinned.
        warnings.simplefilter("ignore", ExperimentalWarning)
        shipped = settings.sampler in SAMPLERS.shipped
        return _make(settings, space, search_seed) if shipped else own_sampler(settings.sampler, search_seed)


def _make(settings: SweepSettings, space: Space, seed: int) -> BaseSampler:
    match settings.sampler:
        case "tpe":
            return _tpe(settings, space, seed)
        case "gp":
            return GPSampler(seed=seed, n_startup_trials=settings.startup_trials, warn_independent_sampling=False)
        case "cmaes":
            return _cmaes(settings, space, seed)
        case "random" | "listed":
            # A list is enqueued as a whole; the session stops when it is through.
            return RandomSampler(seed)
        case "nsga2":
            return NSGAIISampler(seed=seed, population_size=population(settings))
        case _:  # grid; the order must not change with the number of known trials
            return GridSampler(space, settings.seed)


def own_sampler(name: str, seed: int) -> BaseSampler:
    """The sampler of another package, or one of Optuna's by its class path: whatever a call with ``seed`` gives.

    Raises:
        ExtensionError: there is none, it cannot be imported or called so, or it gives no sampler of Optuna's kind.
    """
    make = SAMPLERS.load(name)
    must = "a class or function that gives an Optuna sampler when called with seed=INT"
    try:
        sampler = make(seed=seed)
    except TypeError as error:
        raise SAMPLERS.refuse(name, must, f"one that refuses: {error}") from error
    if not isinstance(sampler, BaseSampler):
        raise SAMPLERS.refuse(name, must, f"one that gives {sampler!r}")
    return sampler


def _tpe(settings: SweepSettings, space: Space, seed: int) -> BaseSampler:
    conditional = bool(space.conditions)
    return TPESampler(
        seed=seed,
        n_startup_trials=settings.startup_trials,
        # Optuna models parameters apart where there are several objectives; conditions need groups, and groups need
        # them together.
        multivariate=conditional or len(settings.objectives) == 1,
        group=conditional,
        constant_liar=True,
    )


def _cmaes(settings: SweepSettings, space: Space, seed: int) -> BaseSampler:
    numbers = [domain for domain in space.domains.values() if isinstance(domain, Numbers)]
    return CmaEsSampler(
        seed=seed,
        n_startup_trials=max(settings.startup_trials, 1),
        warn_independent_sampling=False,
        # Without a margin the search freezes between two steps.
        with_margin=any(domain.whole or domain.step is not None for domain in numbers),
        # Where halving ends most trials, there would be little else to learn from.
        consider_pruned_trials=settings.scheduler in ("asha", "hyperband"),
    )


def population(settings: SweepSettings) -> int:
    """Size of NSGA-II's generations: a fifth of the trials, so that there are some generations, between 4 and 50."""
    return min(max(settings.trials // 5, 4), 50) if settings.trials else 20


def exhausted(study: Study) -> bool:
    """Whether the study's sampler has nothing left to suggest, as only a grid can; ask before ``study.ask``."""
    return isinstance(study.sampler, GridSampler) and not study.sampler.has_open_cell(study)


def sampler_name_problems(settings: SweepSettings) -> Iterator[str]:
    """Why no sampler can be had by the name in the settings; nothing where one can."""
    try:
        SAMPLERS.require_single(settings.sampler)
        if settings.sampler not in SAMPLERS.shipped:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                own_sampler(settings.sampler, settings.seed)
    except ExtensionError as error:
        yield f"sweep.sampler: {error.reason}"


def sampler_problems(settings: SweepSettings, space: Space) -> list[str]:
    """Combinations of sampler, scheduler, objectives and space that cannot work, as ``key: what must hold``."""
    return [*_objective_problems(settings), *_space_problems(settings, space), *_population_problems(settings, space)]


def _objective_problems(settings: SweepSettings) -> Iterator[str]:
    several = len(settings.objectives) > 1
    if several and settings.sampler == "cmaes":
        yield "sweep.sampler: cmaes knows one objective only; use tpe, gp or nsga2, or leave one objective"
    if several and settings.scheduler != "none":
        yield (
            f"sweep.scheduler: {settings.scheduler} compares trials by one objective, there are "
            f"{len(settings.objectives)}; write scheduler: none"
        )


def _space_problems(settings: SweepSettings, space: Space) -> Iterator[str]:
    if settings.sampler == "cmaes":
        always = [key for key in space.domains if key not in space.conditions]
        numbers = [key for key in always if not isinstance(space.domains[key], Choices)]
        if len(numbers) < 2:
            names = ", ".join(numbers) or "none"
            yield f"sweep.sampler: cmaes needs two numeric parameters without conditions, has {names}; use tpe"
    if settings.sampler == "grid":
        try:
            len(space.grid)
        except UncountableError as error:
            yield f"sweep.sampler: grid needs countable values: {error}; give it step or choices"


SHAPING = (
    "model.name",
    "model.options",
    "data.modalities",
    "loss.ica_width",
    "loss.ablate",
    "loss.projection",
    "loss.pairs",
)
"""Keys that decide which weights and which memory bank a training has, and of what shape."""


def _population_problems(settings: SweepSettings, space: Space) -> Iterator[str]:
    if settings.scheduler != "pbt":
        return
    if not settings.trials:
        yield "sweep.trials: must be the size of the population with scheduler pbt, is 0"
    if settings.seeds > 1:
        yield f"sweep.seeds: must be 1 with scheduler pbt, whose trials take over weights, is {settings.seeds}"
    shaping = [key for key in space.domains if key.startswith(SHAPING)]
    if shaping:
        yield (
            f"sweep.space.{shaping[0]}: cannot be searched with scheduler pbt: a trial takes over another's weights, "
            "which must have the same shapes"
        )
    for key in space.conditions:
        yield f"sweep.space.{key}: must have no condition with scheduler pbt, which changes every parameter"
