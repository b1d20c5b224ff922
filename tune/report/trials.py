"""The trials of a study in the form that its figures need: short parameter names, domains, values as printed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dclf.canvas import sign
from tune.report.drawing import NothingToDraw, Points
from tune.search.optuna_log import quiet_optuna
from tune.study.scores import Score, short_names, value_text

FEWEST_FOR_IMPORTANCE = 8


@dataclass(frozen=True, kw_only=True)
class FigureTrial:
    """A trial as figures show it.

    Attributes:
        number: the ledger's.
        role: ``best`` (with several objectives the picked one), ``base`` or nothing.
        state: Optuna's.
        values: its objectives as printed, shares in percent; empty unless it is complete and all are finite.
        params: short name -> value.
        curve: epoch -> the first objective after it, as printed; those that are finite.
    """

    number: int
    role: str
    state: TrialState
    values: tuple[float, ...]
    params: Mapping[str, Any]
    curve: Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class AxisDomain:
    """Where a parameter's values lie on an axis.

    Attributes:
        name: short.
        log: whether the axis is logarithmic.
        whole: whether only whole numbers are values.
        choices: the values of a categorical parameter as text, in their order; empty for numbers.
    """

    name: str
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    def place(self, value: Any) -> float:
        """Where a value lies: itself, or the place of a choice."""
        return float(self.choices.index(value_text(value))) if self.choices else float(value)


class StudyTrials:
    """The trials of a study, and what can be said of them all.

    Args:
        study: Optuna's study.
        objectives: names of its objectives; Optuna's metric names where empty.
        numbers: Optuna's number of a trial -> the ledger's; trials that are not in it are left out; None for all.
        roles: the ledger's number -> ``best`` or ``base``.
    """

    def __init__(
        self,
        study: optuna.Study,
        objectives: Sequence[str] = (),
        numbers: Mapping[int, int] | None = None,
        roles: Mapping[int, str] | None = None,
    ) -> None:
        directions = [direction.name.lower() for direction in study.directions]
        names = list(objectives) or study.metric_names or ["objective", *(f"objective {n}" for n in range(2, 9))]
        self.scores = [Score(name=name, direction=way) for name, way in zip(names, directions, strict=False)]
        every = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
        numbers = {number: number for number in every} if numbers is None else numbers
        self._frozen = {new: every[old] for old, new in numbers.items() if old in every}
        self._names = short_names(list(dict.fromkeys(key for one in self._frozen.values() for key in one.params)))
        self.trials = [self._trial(new, trial, (roles or {}).get(new, "")) for new, trial in self._frozen.items()]
        self.done = [trial for trial in self.trials if trial.values]

    @property
    def score(self) -> Score:
        """The first objective."""
        return self.scores[0]

    def values(self, trials: Sequence[FigureTrial], objective: int = 0) -> NDArray[np.float64]:
        """An objective of complete trials as printed."""
        return np.array([trial.values[objective] for trial in trials], dtype=float)

    def special(self, trials: Sequence[FigureTrial]) -> list[FigureTrial]:
        """The marked trials among these, the best one last so that it is drawn on top."""
        return sorted((trial for trial in trials if trial.role), key=lambda trial: trial.role == "best")

    def label(self, trial: FigureTrial) -> str:
        """A marked trial in a legend, such as ``best, trial 12``."""
        role = "picked" if trial.role == "best" and len(self.scores) > 1 else trial.role
        return f"{role}, trial {trial.number}"

    def text(self, trial: FigureTrial, params: Sequence[str] = (), extra: str = "") -> str:
        """A trial in words, for the pointer, with some of its parameters.

        Args:
            trial: any.
            params: short names.
            extra: what is said instead of the objectives.
        """
        who = self.label(trial) if trial.role else f"trial {trial.number}"
        values = zip(self.scores, trial.values, strict=False)
        scores = [extra] if extra else [f"{score.label} {number_text(score, value)}" for score, value in values]
        some = [f"{name} {value_text(trial.params[name])}" for name in params if name in trial.params]
        return f"{who}: {', '.join(scores)}{'; ' if some else ''}{', '.join(some)}"

    @cached_property
    def domains(self) -> dict[str, AxisDomain]:
        """Short name -> domain of every parameter that takes several values in complete trials, by importance."""
        kinds: dict[str, list[Any]] = {}
        values: dict[str, set[str]] = {}
        for trial in self.done:
            for key, kind in self._frozen[trial.number].distributions.items():
                name = self._names[key]
                if not any(kind is other or kind == other for other in kinds.setdefault(name, [])):
                    kinds[name].append(kind)
                values.setdefault(name, set()).add(repr(trial.params[name]))
        several = [name for name, distinct in values.items() if len(distinct) > 1]
        ranked = sorted(several, key=lambda name: -self.importances.get(name, 0.0))
        return {name: _domain(name, kinds[name]) for name in ranked}

    @cached_property
    def importances(self) -> dict[str, float]:
        """Short name -> share of the importance by the first objective; empty where too few trials tell."""
        if len(self.done) < FEWEST_FOR_IMPORTANCE or len({trial.values[0] for trial in self.done}) < 2:
            return {}
        with quiet_optuna():
            study = optuna.create_study(direction=StudyDirection[self.score.direction.upper()])
            study.add_trials([self._for_optuna(trial) for trial in self.done])
            shares = optuna.importance.get_param_importances(study)
        return {self._names[key]: share for key, share in shares.items()}

    def points(
        self, axes: Axes, trials: Sequence[FigureTrial], x: ArrayLike, y: ArrayLike, params: Sequence[str] = ()
    ) -> Points:
        """What the pointer learns of trials at these places: their objectives, and some parameters."""
        texts = [self.text(trial, params) for trial in trials]
        return Points(axes=axes, x=np.asarray(x).tolist(), y=np.asarray(y).tolist(), texts=texts)

    def signs(
        self,
        axes: Axes,
        trials: Sequence[FigureTrial],
        x: ArrayLike,
        y: ArrayLike,
        params: Sequence[str] = (),
        *,
        limits: tuple[float, float] = (-math.inf, math.inf),
    ) -> list[Points]:
        """Draw the signs of the best and the base, where they are among trials at these places.

        A sign whose trial lies outside of ``limits``, the ends of the upright axis, stands at the nearer end.
        """
        heights = np.clip(np.asarray(y, dtype=float), *limits)
        places = {trial.number: place for trial, *place in zip(trials, np.asarray(x).tolist(), heights, strict=True)}
        marked = self.special(trials)
        xs, ys = ([float(places[trial.number][axis]) for trial in marked] for axis in (0, 1))
        for trial, left, height in zip(marked, xs, ys, strict=True):
            sign(axes, trial.role, left, height, self.label(trial))
        return [Points(axes=axes, x=xs, y=ys, texts=[self.text(trial, params) for trial in marked], special=True)]

    def need(self, trials: int, params: int = 0) -> None:
        """Raise NothingToDraw unless there are so many complete trials and varied parameters."""
        if len(self.done) < trials:
            raise NothingToDraw(f"needs complete trials: at least {trials}, there are {len(self.done)}")
        if params and len(self.domains) < params:
            count = len(self.domains)
            raise NothingToDraw(f"needs parameters that take several values: at least {params}, has {count}")

    def _for_optuna(self, trial: FigureTrial) -> FrozenTrial:
        """A complete trial for Optuna, by the first objective alone."""
        frozen = self._frozen[trial.number]
        return optuna.trial.create_trial(
            value=trial.values[0], params=frozen.params, distributions=frozen.distributions
        )

    def _trial(self, number: int, trial: FrozenTrial, role: str) -> FigureTrial:
        complete = trial.state == TrialState.COMPLETE and all(map(math.isfinite, trial.values or ()))
        scale = self.scores[0].scale
        return FigureTrial(
            number=number,
            role=role,
            state=trial.state,
            values=tuple(v * s.scale for v, s in zip(trial.values, self.scores, strict=False)) if complete else (),
            params={self._names[key]: value for key, value in trial.params.items()},
            curve={step: value * scale for step, value in trial.intermediate_values.items() if math.isfinite(value)},
        )


def number_text(score: Score, value: float) -> str:
    """A printed value with its unit."""
    return f"{value:.2f} %" if score.is_share else f"{value:.4g}"


def _domain(name: str, kinds: Sequence[Any]) -> AxisDomain:
    """Of what may be several distributions, as a study that went on has them."""
    if any(isinstance(kind, CategoricalDistribution) for kind in kinds):
        choices = (choice for kind in kinds for choice in getattr(kind, "choices", ()))
        return AxisDomain(name=name, choices=tuple(dict.fromkeys(map(value_text, choices))))
    numbers = [kind for kind in kinds if isinstance(kind, FloatDistribution | IntDistribution)]
    whole = all(isinstance(kind, IntDistribution) for kind in numbers)
    return AxisDomain(name=name, log=all(kind.log for kind in numbers), whole=whole)
