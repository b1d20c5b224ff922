"""Comparisons: every variant trained with the same seeds and scored once on the test split.

Ablations leave parts of the framework out (Table 4 of the paper), grids vary values (Table 5, Figure 4). Both are
studies like a sweep, planned, recorded, resumed and mended the same way; nothing is searched and nothing ends early.

>>> from tune.comparisons import ablation, grid
>>> from tune.config.settings import load_config
>>> from tune.sweeps import sweep
>>> config = load_config("iemocap", {"data.shards": "shards/iemocap"})  # doctest: +SKIP
>>> study = sweep(config, ablation(seeds=5), kind="ablation")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dclf.errors import require_names
from tune.config.defaults import SEEDS
from tune.config.sweep_settings import SweepSettings

PARTS = ("no_cacl", "no_ce", "no_mccl", "no_ica", "base")
"""Values of ``loss.ablate`` in the order of the paper's Table 4, the base model last."""


def ablation(
    *,
    models: Sequence[str] = (),
    parts: Sequence[str] = PARTS,
    seeds: int = SEEDS,
    settings: SweepSettings | None = None,
) -> SweepSettings:
    """Settings of a study that leaves parts of the framework out, one at a time.

    Args:
        models: base models; the configuration's own where empty.
        parts: values of ``loss.ablate``; ``none``, the whole framework, belongs to every comparison.
        seeds: trainings per variant, the same for all.
        settings: where to run and what to keep; what a comparison needs is set.
    """
    require_names(models=models, parts=parts)
    space: dict[str, Any] = {"model.name": {"choices": list(models)}} if models else {}
    choices = ["none", *(part for part in parts if part != "none")]
    return grid({**space, "loss.ablate": {"choices": choices}}, seeds=seeds, settings=settings)


def grid(space: Mapping[str, Any], *, seeds: int = SEEDS, settings: SweepSettings | None = None) -> SweepSettings:
    """Settings of a study that trains every combination of values.

    Args:
        space: dotted key -> domain, see docs/sweeps.md; every domain countable.
        seeds: trainings per combination, the same for all.
        settings: where to run and what to keep; what a comparison needs is set.
    """
    return replace(
        settings or SweepSettings(),
        space=dict(space),
        seeds=seeds,
        trials=_combinations(space),
        time="",
        sampler="grid",
        scheduler="none",
        test="all",
        start_points=(),
        warm_start=(),
        stop_at=None,
        stop_after=0,
    )


def _combinations(space: Mapping[str, Any]) -> int:
    """How many there are; 0 for a space that cannot be counted or is none, which the sweep's checks will say."""
    # Imported here: help does not wait for Optuna.
    from tune.search.space import Space  # noqa: PLC0415

    try:
        return len(Space.of(dict(space)).grid)
    except ValueError:
        return 0
