"""Every impossible value of a sweep's settings, at once and before anything starts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dclf.config import SEED_LIMIT, Config
from dclf.field_kinds import kind_problems, with_defaults
from dclf.training.reports import ROBUST_SCORES
from dclf.uris import secret_problem, sqlite_path
from tune.config.durations import parse_duration
from tune.config.sweep_settings import SweepSettings, study_name_problem
from tune.search.domains import Choices
from tune.search.samplers import sampler_name_problems, sampler_problems
from tune.search.space import Space, default_space
from tune.search.space_problems import space_problems
from tune.search.start_points import start_point_problems

OBJECTIVES = ("wf1", "wa")
PER_CLASS = ("f1/", "accuracy/")
DIRECTIONS = ("maximize", "minimize")
MODALITIES_KEY, BATCH_SIZE = "data.modalities", "train.batch_size"


def sweep_space(settings: SweepSettings, config: Config) -> Space:
    """The space of a sweep, the default one where the settings name none."""
    if settings.space:
        return Space.of(settings.space, config)
    return default_space(population=settings.scheduler == "pbt").based_on(config)


def sweep_problems(settings: SweepSettings, config: Config) -> list[str]:
    """Every impossible value, as ``sweep.KEY: what must hold, what came instead``; empty when the sweep is sound.

    Classes of objectives are checked where the shards are opened, see ``objective_problems``.

    Args:
        settings: what was asked for.
        config: the base configuration.
    """
    wrong = kind_problems(settings, "sweep.")
    settings = with_defaults(settings, wrong)
    space = sweep_space(settings, config)
    # A list is tried as it stands, and says what its own configurations are.
    space_lines = space_problems(space, config, every=settings.sampler != "listed")
    problems = [*wrong.values(), *_range_problems(settings), *_test_problems(settings), *_text_problems(settings)]
    problems += [
        *_objective_problems(settings),
        *_robust_problems(settings, config),
        *_seed_problems(settings, config),
        *space_lines,
    ]
    problems += [*_worker_problems(settings, space), *sampler_name_problems(settings)]
    if not space_lines:
        problems += [*sampler_problems(settings, space), *start_point_problems(settings, space, config)]
    return problems


def trained_modalities(space: Space, config: Config) -> tuple[str, ...]:
    """Every modality that any trial may train with, in the order of the configuration's and then the space's.

    Args:
        space: what is searched.
        config: the base configuration.
    """
    domain = space.domains.get(MODALITIES_KEY)
    searched = [name for choice in domain.choices for name in choice] if isinstance(domain, Choices) else []
    always = domain is not None and MODALITIES_KEY not in space.conditions
    return tuple(dict.fromkeys([*([] if always else config.data.modalities), *searched]))


def objective_problems(settings: SweepSettings, class_names: Iterable[str]) -> list[str]:
    """Objectives of classes that the data do not have.

    Args:
        settings: what was asked for.
        class_names: classes of the shard set.
    """
    names = {*OBJECTIVES, *ROBUST_SCORES, *(f"{kind}{name}" for kind in PER_CLASS for name in class_names)}
    return [
        f"sweep.objectives: the data have no {name}; they have {', '.join(sorted(names))}"
        for name in settings.objectives
        if name not in names
    ]


_Rule = tuple[tuple[str, ...], str, Callable[[float], bool]]
_RULES: tuple[_Rule, ...] = (
    (
        ("trials", "stop_after", "startup_trials", "concurrency", "workers_per_trial", "cache_mb", "seed"),
        "0 or more",
        lambda value: value >= 0,
    ),
    (("gpus_per_trial", "checkpoint_s"), "0 or more and finite", lambda value: 0 <= value < math.inf),
    (("seeds", "grace_epochs", "keep"), "at least 1", lambda value: value >= 1),
)


def _range_problems(settings: SweepSettings) -> Iterator[str]:
    for keys, must, holds in _RULES:
        for key in keys:
            value: Any = getattr(settings, key)
            if not holds(value):
                yield f"sweep.{key}: must be {must}, is {value}"
    if settings.sampler == "listed" and not settings.start_points:
        yield "sweep.start_points: must name at least one configuration for sampler listed, is empty"
    if settings.trials == 0 and not settings.time and settings.sampler not in ("grid", "listed"):
        yield "sweep.trials: must be above 0, or sweep.time must say how long to search"
    if settings.gpus_per_trial > 1 and settings.gpus_per_trial % 1:
        yield f"sweep.gpus_per_trial: must be a whole number above 1, is {settings.gpus_per_trial}"
    if settings.stop_at is not None and not 0 <= settings.stop_at <= 1:
        yield f"sweep.stop_at: must be a score between 0 and 1, is {settings.stop_at}"


def _worker_problems(settings: SweepSettings, space: Space) -> Iterator[str]:
    domain = space.domains.get(BATCH_SIZE)
    least = min((size for size in domain.samples() if isinstance(size, int)), default=0) if domain is not None else 0
    if 0 < least < settings.workers_per_trial:
        workers = f"sweep.workers_per_trial {settings.workers_per_trial}"
        yield f"sweep.space.{BATCH_SIZE}: allows {least}, but {workers} needs a dialogue for each worker in every batch"


def _seed_problems(settings: SweepSettings, config: Config) -> Iterator[str]:
    """Yield a problem where the seeds of a trial, which count on from the configuration's, become too large."""
    if config.train.seed < SEED_LIMIT < config.train.seed + settings.seeds:
        yield f"train.seed: must leave room for {settings.seeds} seeds below 2^63, is {config.train.seed}"


def _test_problems(settings: SweepSettings) -> Iterator[str]:
    if settings.test == "all" and settings.scheduler != "none":
        yield (
            f"sweep.test: all compares finished trainings, scheduler {settings.scheduler} ends some early; write "
            "scheduler: none"
        )


def _text_problems(settings: SweepSettings) -> Iterator[str]:
    if settings.time:
        try:
            parse_duration(settings.time)
        except ValueError as error:
            yield f"sweep.time: {error}"
    for name in settings.warm_start:
        if problem := study_name_problem(name):
            yield f"sweep.warm_start: {problem}"
    if not settings.storage:
        yield "sweep.storage: must name the folder of studies, is empty"
    if problem := secret_problem(settings.storage):
        yield f"sweep.storage: {problem}"
    if settings.optuna and not re.match(r"[a-z][\w+]*://", settings.optuna):
        yield f"sweep.optuna: must be the URL of a database such as postgresql://host/name, is {settings.optuna!r}"
    try:
        sqlite_path(settings.optuna)
    except ValueError as error:
        yield f"sweep.optuna: {error}"


def _objective_problems(settings: SweepSettings) -> Iterator[str]:
    names = ", ".join((*OBJECTIVES, *ROBUST_SCORES, "f1/CLASS", "accuracy/CLASS"))
    if not settings.objectives:
        yield f"sweep.objectives: must name at least one of {names}"
    for name, direction in settings.objectives.items():
        if name not in (*OBJECTIVES, *ROBUST_SCORES) and not (name.startswith(PER_CLASS) and name.partition("/")[2]):
            yield f"sweep.objectives.{name}: must be one of {names}"
        if direction not in DIRECTIONS:
            yield f"sweep.objectives.{name}: must be {' or '.join(DIRECTIONS)}, is {direction!r}"


def _robust_problems(settings: SweepSettings, config: Config) -> Iterator[str]:
    names = [name for name in settings.objectives if name in ROBUST_SCORES]
    if names and config.train.perturb_every == 0:
        yield (
            f"train.perturb_every: must be above 0 for {', '.join(names)} among the objectives, is 0; write 5, say, "
            "for a score after every fifth epoch and at the end"
        )
    # With several objectives nothing may end a trial early, whatever they are: tune.search.samplers says so.
    if names and len(settings.objectives) == 1 and settings.scheduler != "none":
        yield (
            f"sweep.scheduler: {settings.scheduler} compares trials after every epoch, {names[0]} is not known after "
            "each; write scheduler: none"
        )
