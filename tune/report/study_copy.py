"""A copy of a study for its plots: short parameter names, values in percent, chosen objectives and trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tune.report.pyplot import borrowed_pyplot
from tune.study.scores import Score, value_text

_SOME_TIME = datetime.fromtimestamp(0)
"""Plots do not show when; a trial that has ended must have such times."""


def copy_study(
    trials: Sequence[FrozenTrial], scores: Sequence[Score], names: Mapping[str, str], *, curves: bool = False
) -> optuna.Study:
    """A study in memory with these trials, numbered anew from 0.

    Args:
        trials: of the study; those that have not ended count as failed, as Optuna's plots leave both out.
        scores: their objectives, or the first ones of them.
        names: dotted key -> what the plots call it.
        curves: whether intermediate values come along.
    """
    with borrowed_pyplot():
        study = optuna.create_study(directions=[StudyDirection[score.direction.upper()] for score in scores])
        study.add_trials([_copied(trial, scores, names, curves=curves) for trial in trials])
    return study


def complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that are complete and whose values are all finite."""
    return [
        trial for trial in trials if trial.state == TrialState.COMPLETE and all(map(math.isfinite, trial.values or ()))
    ]


def spread(trials: Sequence[FrozenTrial], limit: int) -> list[FrozenTrial]:
    """At most so many trials, evenly over the study."""
    if len(trials) <= limit:
        return list(trials)
    return [trials[place * len(trials) // limit] for place in range(limit)]


def _copied(trial: FrozenTrial, scores: Sequence[Score], names: Mapping[str, str], *, curves: bool) -> FrozenTrial:
    done = trial.state == TrialState.COMPLETE
    # Of any other trial but the number only; copying more takes seconds in a large study.
    whole = done or curves
    kinds = trial.distributions if whole else {}
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=trial.state if whole and trial.state.is_finished() else TrialState.FAIL,
        value=None,
        values=[value * score.scale for value, score in zip(trial.values, scores, strict=False)] if done else None,
        datetime_start=_SOME_TIME,
        datetime_complete=_SOME_TIME,
        params={names[key]: _shown_value(trial.params[key], kind) for key, kind in kinds.items()},
        distributions={names[key]: _shown(kind) for key, kind in kinds.items()},
        user_attrs={},
        system_attrs={},
        intermediate_values=_curve(trial, scores[0].scale) if curves else {},
    )


def _curve(trial: FrozenTrial, scale: float) -> dict[int, float]:
    return {epoch: value * scale for epoch, value in trial.intermediate_values.items() if math.isfinite(value)}


def _shown(distribution: BaseDistribution) -> BaseDistribution:
    """Choices as text: Optuna would print them with Python's quotation marks and brackets."""
    if isinstance(distribution, CategoricalDistribution) and _worded(distribution):
        return CategoricalDistribution(tuple(dict.fromkeys(map(_literal, distribution.choices))))
    return distribution


def _shown_value(value: Any, distribution: BaseDistribution) -> Any:
    return _literal(value) if _worded(distribution) else value


def _worded(distribution: BaseDistribution) -> bool:
    """Whether the choices are words; numbers have an axis of numbers in Optuna's plots."""
    choices = distribution.choices if isinstance(distribution, CategoricalDistribution) else ()
    return any(isinstance(choice, bool) or not isinstance(choice, int | float) for choice in choices)


def _literal(value: Any) -> str:
    """Text that matplotlib takes as it stands, without reading formulas into dollar signs."""
    return value_text(value).replace("$", r"\$")
