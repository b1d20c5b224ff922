"""What a sweep tries first: the base configuration, then the start points that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dclf.config import Config
from tune.config.overrides import apply, refusals
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.search.space import Space


def start_points(settings: SweepSettings, space: Space, config: Config) -> list[dict[str, Any]]:
    """Overrides of the first trials, none twice, each with a value for every active parameter.

    The base configuration comes first unless the space cannot express it (``space.outside`` says why), or sampler
    ``listed`` asks for the start points alone.

    Args:
        settings: its ``start_points`` change the base configuration.
        space: what is searched.
        config: the base configuration.

    Raises:
        ValueError: the space cannot express a start point.
    """
    base = None if settings.sampler == "listed" else space.point(config)
    points = [] if base is None else [base]
    for overrides in settings.start_points:
        point = complete(overrides, space, config)
        if point not in points:
            points.append(point)
    return points


def countable_size(settings: SweepSettings, space: Space, config: Config) -> int | None:
    """How many trials there can be at most: combinations of a grid, points of a list; None for a search.

    Args:
        settings: its sampler decides.
        space: what is searched.
        config: the base configuration.
    """
    if settings.sampler == "listed":
        return len(start_points(settings, space, config))
    return space.size if settings.sampler == "grid" else None


def complete(overrides: Mapping[str, Any], space: Space, config: Config) -> dict[str, Any]:
    """A start point with the base configuration's values where it says nothing.

    Raises:
        ValueError: the space cannot express it; the message names key and domain.
    """
    try:
        changed = apply(config, overrides)
    except ConfigError as error:
        raise ValueError("; ".join(error.problems)) from None
    unknown = [key for key in overrides if key not in space.domains]
    if unknown:
        raise ValueError(f"{unknown[0]}: is not searched; the space has {', '.join(space.domains)}")
    if reasons := space.outside(changed):
        raise ValueError("; ".join(reasons))
    point = space.point(changed) or {}
    idle = [key for key in overrides if key not in point]
    if idle:
        # params_of says which condition does not hold.
        space.params_of({**point, **overrides})
    return point


def start_point_problems(settings: SweepSettings, space: Space, config: Config) -> list[str]:
    """Start points that the space cannot express or the configuration refuses, as ``sweep.start_points: ...``."""
    own, problems = config.problems(), []
    for place, overrides in enumerate(settings.start_points, start=1):
        try:
            reasons = refusals(config, complete(overrides, space, config), own)
        except ValueError as error:
            reasons = [str(error)]
        problems += [f"sweep.start_points: point {place}: {problem}" for problem in reasons]
    return problems
