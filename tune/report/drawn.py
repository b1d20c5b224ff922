"""Which figures a study's report has: a search Optuna's, a comparison its own."""

from __future__ import annotations

import optuna

from tune.report.comparison.figures import comparison_figures
from tune.report.comparison.variants import is_comparison
from tune.report.figures import HALVES, Drawings, draw_study
from tune.study.folder import StudyFolder

OF_COMPARISONS = ("curves",)
"""The only figure of Optuna's that says something of a comparison: the others ask which values make a good trial, or
how the search for them went, and a comparison has all combinations and no search."""


def study_drawings(folder: StudyFolder, study: optuna.Study, half: int | None = None) -> Drawings:
    """The figures with their words, a comparison's own ones first.

    Args:
        folder: the study.
        study: what Optuna knows of it.
        half: 0 or 1, for one of two processes; all figures where None.
    """
    objectives = list(folder.definition.sweep.objectives)
    numbers = optuna_numbers(folder)
    if not is_comparison(folder.definition):
        return draw_study(study, objectives, numbers, None if half is None else HALVES[half])
    own = {} if half == 1 else comparison_figures(folder)
    found = draw_study(study, objectives, numbers, () if half == 0 else OF_COMPARISONS)
    return Drawings(drawn={**own, **found.drawn}, missing=found.missing)


def optuna_numbers(folder: StudyFolder) -> list[int]:
    """Optuna's numbers of the study's own trials, in the order of the ledger."""
    return [trial.optuna for trial in folder.ledger.trials.values() if trial.optuna >= 0]
