"""Which figures a study's report has: a search Optuna's, a comparison its own."""

from __future__ import annotations

import math

import optuna

from tune.analysis.comparison.variants import is_comparison
from tune.report.comparison.figures import comparison_figures
from tune.report.figures import Drawings, draw_study
from tune.study.folder import StudyFolder
from tune.study.ranking import base_trial, best_trial

OF_COMPARISONS = ("curves",)
"""The only figure of Optuna's that says something of a comparison: the others ask which values make a good trial, or
how the search for them went, and a comparison has all combinations and no search."""


def study_drawings(folder: StudyFolder, study: optuna.Study) -> Drawings:
    """The figures with their words, a comparison's own ones first.

    Args:
        folder: the study.
        study: what Optuna knows of it.
    """
    objectives = list(folder.definition.sweep.objectives)
    numbers = optuna_numbers(folder)
    if not is_comparison(folder.definition):
        return draw_study(study, objectives, numbers, marks=_marks(folder))
    search = draw_study(study, objectives, numbers, OF_COMPARISONS)
    return Drawings(drawn={**comparison_figures(folder), **search.drawn}, missing=search.missing)


def _marks(folder: StudyFolder) -> dict[str, tuple[float, ...]]:
    """What the front's figure marks: words -> a trial's objectives."""
    trials = {"base configuration": base_trial(folder), "picked": best_trial(folder)}
    count = len(folder.definition.sweep.objectives)
    return {
        f"{words} (trial {trial.number})": trial.values
        for words, trial in trials.items()
        if trial is not None and len(trial.values) == count and all(map(math.isfinite, trial.values))
    }


def optuna_numbers(folder: StudyFolder) -> list[int]:
    """Optuna's numbers of the study's own trials, in the order of the ledger."""
    return [trial.optuna for trial in folder.ledger.trials.values() if trial.optuna >= 0]
