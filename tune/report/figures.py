"""The figures of a study: Optuna's own plots, each drawn only where it has something to say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import optuna
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as plots

from tune.report import layout
from tune.report.pyplot import borrowed_pyplot, figure_of
from tune.report.study_copy import complete, copy_study, spread
from tune.study.ranking import pick_rule
from tune.study.scores import Score, short_names

MOST_CURVES, MOST_IN_CONTOUR, MOST_LINES = 60, 200, 400
"""Trials in the busy figures; more would take long and show no more."""
MOST_PARAMS = 6
FEWEST_FOR_IMPORTANCE, FEWEST_FOR_CONTOUR = 8, 5


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure with its words.

    Attributes:
        title: what it is.
        caption: how to read it, and which trials it leaves out.
        figure: ready to be saved; belongs to the caller.
    """

    title: str
    caption: str
    figure: Figure


@dataclass(kw_only=True)
class Drawings:
    """The figures of a study.

    Attributes:
        drawn: name -> figure, names such as ``history`` and ``contour``.
        missing: name -> why that figure is not drawn.
    """

    drawn: dict[str, Drawing] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, Figure]:
        """Name -> figure."""
        return {name: drawing.figure for name, drawing in self.drawn.items()}


class NothingToDraw(Exception):  # noqa: N818 - no error, it says why a figure is left out
    """A figure that would say nothing; the message says why."""


def study_figures(study: optuna.Study, objectives: Sequence[str] = ()) -> dict[str, Figure]:
    """The figures of a study by name, those only that make sense yet.

    Args:
        study: Optuna's study.
        objectives: names of its objectives; Optuna's metric names where empty.
    """
    return draw_study(study, objectives).figures


def draw_study(
    study: optuna.Study,
    objectives: Sequence[str] = (),
    numbers: Sequence[int] | None = None,
    names: Collection[str] | None = None,
    marks: Mapping[str, Sequence[float]] | None = None,
) -> Drawings:
    """As ``study_figures``, with titles and captions, and why others are missing.

    Args:
        study: Optuna's study.
        objectives: names of its objectives; Optuna's metric names where empty.
        numbers: Optuna's numbers of the trials to draw, which are numbered anew in this order: the ledger's, where
            Optuna knows further trials, such as those of an earlier study; all of them where None.
        names: figures to draw; all where None.
        marks: words -> objectives of a trial that the front's figure shows apart.
    """
    drawings, studio = Drawings(), _Studio(study, objectives, numbers, marks or {})
    for name, draw in _PLOTS.items():
        if (name == "pareto" and len(studio.scores) == 1) or (names is not None and name not in names):
            continue
        try:
            drawings.drawn[name] = draw(studio)
        except NothingToDraw as reason:
            drawings.missing[name] = str(reason)
    return drawings


class _Studio:
    """The trials in the forms that the plots need."""

    def __init__(
        self,
        study: optuna.Study,
        objectives: Sequence[str],
        numbers: Sequence[int] | None,
        marks: Mapping[str, Sequence[float]],
    ) -> None:
        directions = [direction.name.lower() for direction in study.directions]
        names = list(objectives) or study.metric_names or ["objective", *(f"objective {n}" for n in range(2, 9))]
        self.scores = [Score(name=name, direction=way) for name, way in zip(names, directions, strict=False)]
        every = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
        self.trials = [every[number] for number in (every if numbers is None else numbers) if number in every]
        self.done = complete(self.trials)
        self.marks = marks
        self.names = short_names(list(dict.fromkeys(key for trial in self.trials for key in trial.params)))

    @property
    def words(self) -> str:
        return self.scores[0].label

    @property
    def label(self) -> str:
        return self.scores[0].unit_label

    @cached_property
    def whole(self) -> optuna.Study:
        """All trials with their numbers, by the first objective."""
        return self.part(self.trials)

    def part(self, trials: Sequence[FrozenTrial], *, curves: bool = False) -> optuna.Study:
        """Some trials, by the first objective."""
        return copy_study(trials, self.scores[:1], self.names, curves=curves)

    @cached_property
    def varied(self) -> list[str]:
        """Short names of the parameters that take several values, the most important first where that is known."""
        values: dict[str, set[object]] = {}
        for trial in complete(self.whole.get_trials(deepcopy=False)):
            for key, value in trial.params.items():
                values.setdefault(key, set()).add(value)
        several = [key for key, distinct in values.items() if len(distinct) > 1]
        return sorted(several, key=lambda key: -self.importances.get(key, 0.0))

    @cached_property
    def importances(self) -> dict[str, float]:
        """Short name -> share of the importance; empty where too few trials tell."""
        values = {trial.values[0] for trial in self.done}
        if len(self.done) < FEWEST_FOR_IMPORTANCE or len(values) < 2:
            return {}
        with borrowed_pyplot():
            return optuna.importance.get_param_importances(self.whole)

    def need(self, trials: int, params: int = 0) -> None:
        """Raise NothingToDraw unless there are so many complete trials and varied parameters."""
        if len(self.done) < trials:
            raise NothingToDraw(f"needs complete trials: at least {trials}, there are {len(self.done)}")
        if params and len(self.varied) < params:
            raise NothingToDraw(f"needs parameters that take several values: at least {params}, has {len(self.varied)}")


def _history(studio: _Studio) -> Drawing:
    studio.need(1)
    figure = figure_of(plots.plot_optimization_history, studio.whole, target_name=studio.label)
    layout.history(figure, studio.scores[0], [trial.values[0] * studio.scores[0].scale for trial in studio.done])
    caption = f"The {studio.words} of every complete trial, and the best so far."
    return Drawing(title="Optimisation history", caption=caption, figure=figure)


def _curves(studio: _Studio) -> Drawing:
    ended = [trial for trial in studio.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    curves = [trial for trial in ended if len(trial.intermediate_values) > 1]
    if not curves:
        raise NothingToDraw("no complete or pruned trial has reported two epochs")
    shown = spread(curves, MOST_CURVES)
    figure = figure_of(plots.plot_intermediate_values, studio.part(shown, curves=True))
    layout.curves(figure, studio.label)
    pruned = any(trial.state == TrialState.PRUNED for trial in shown)
    caption = f"The {studio.words} after each epoch{'; pruned trials have short curves' if pruned else ''}."
    return Drawing(title="Learning curves", caption=caption + _of(shown, curves), figure=figure)


def _importances(studio: _Studio) -> Drawing:
    studio.need(FEWEST_FOR_IMPORTANCE, 2)
    if not any(studio.importances.values()):
        raise NothingToDraw(f"every complete trial has the same {studio.words}")
    figure = figure_of(plots.plot_param_importances, studio.whole, params=studio.varied, target_name=studio.label)
    layout.importances(figure, len(studio.varied))
    caption = (
        f"Share of each parameter in what sets the best trials by {studio.words} apart from the others (PED-ANOVA). "
        "With few trials the shares are rough."
    )
    return Drawing(title="Parameter importance", caption=caption, figure=figure)


def _slice(studio: _Studio) -> Drawing:
    studio.need(2, 1)
    shown = studio.varied[:MOST_PARAMS]
    figure = figure_of(plots.plot_slice, studio.whole, params=shown, target_name=studio.label)
    layout.slices(figure, len(shown))
    caption = f"The {studio.words} against each parameter; later trials are darker.{_first(shown, studio.varied)}"
    return Drawing(title="Slices", caption=caption, figure=figure)


def _contour(studio: _Studio) -> Drawing:
    studio.need(FEWEST_FOR_CONTOUR, 2)
    shown = studio.varied if len(studio.varied) <= 3 else studio.varied[:2]
    part = spread(studio.done, MOST_IN_CONTOUR)
    study = studio.part(part)
    together = [trial for trial in study.get_trials(deepcopy=False) if set(shown) <= set(trial.params)]
    if len(together) < FEWEST_FOR_CONTOUR:
        raise NothingToDraw(f"{' and '.join(shown)} occur together in {len(together)} complete trials only")
    figure = figure_of(plots.plot_contour, study, params=shown, target_name=studio.label)
    layout.contour(figure, len(shown))
    pair = "" if len(shown) == len(studio.varied) else " Shown are the two most important parameters."
    caption = f"The {studio.words} between the trials (dots), interpolated; far from dots it says little.{pair}"
    return Drawing(title="Contour", caption=caption + _of(part, studio.done), figure=figure)


def _parallel(studio: _Studio) -> Drawing:
    studio.need(2, 2)
    shown, part = studio.varied[:MOST_PARAMS], spread(studio.done, MOST_LINES)
    figure = figure_of(plots.plot_parallel_coordinate, studio.part(part), params=shown, target_name=studio.label)
    layout.parallel(figure, len(shown), studio.label)
    caption = (
        f"Each line is a trial, from its {studio.words} on the left to its parameters.{_first(shown, studio.varied)}"
    )
    return Drawing(title="Parallel coordinates", caption=caption + _of(part, studio.done), figure=figure)


def _pareto(studio: _Studio) -> Drawing:
    studio.need(1)
    if len(studio.scores) > 3:
        raise NothingToDraw(f"shows three objectives at most, the study has {len(studio.scores)}")
    study = copy_study(studio.done, studio.scores, studio.names)
    figure = figure_of(plots.plot_pareto_front, study, target_names=[score.unit_label for score in studio.scores])
    scales = [score.scale for score in studio.scores]
    marks = {
        words: [value * scale for value, scale in zip(values, scales, strict=True)]
        for words, values in studio.marks.items()
    }
    layout.pareto(figure, marks)
    caption = "The red trials are the front: none beats them in one objective without losing in another."
    if rule := pick_rule(studio.scores):
        caption += f" Picked: {rule}."
    return Drawing(title="Pareto front", caption=caption, figure=figure)


def _of(shown: Sequence[object], everything: Sequence[object]) -> str:
    if len(shown) == len(everything):
        return ""
    return f" Shown are {len(shown):,} of {len(everything):,} trials, evenly over the study."


def _first(shown: Sequence[str], everything: Sequence[str]) -> str:
    return "" if len(shown) == len(everything) else f" Shown are the {len(shown)} most important parameters."


_PLOTS: dict[str, Callable[[_Studio], Drawing]] = {
    "history": _history,
    "curves": _curves,
    "importance": _importances,
    "slice": _slice,
    "contour": _contour,
    "parallel": _parallel,
    "pareto": _pareto,
}
