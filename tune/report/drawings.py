"""Which figures a study's report has: a search those of its trials, a comparison its own."""

from __future__ import annotations

import optuna

from tune.analysis.comparison.variants import is_comparison
from tune.analysis.perturbation.study_tables import perturbed_variants
from tune.report.comparison.figures import comparison_figures, curve_figure
from tune.report.drawing import Drawings
from tune.report.figures import draw_study
from tune.report.perturbation_figures import perturbation_figures
from tune.study.folder import StudyFolder
from tune.study.ranking import base_trial, best_trial

CURVES = "curves"


def study_drawings(folder: StudyFolder, study: optuna.Study) -> Drawings:
    """The figures with their words: of a comparison its own, and its perturbation test's.

    A search's other figures ask which values make a good trial, or how the search for them went, and a comparison has
    all combinations and no search.

    Args:
        folder: the study.
        study: what Optuna knows of it.
    """
    objectives = list(folder.definition.sweep.objectives)
    numbers = optuna_numbers(folder)
    if not is_comparison(folder.definition):
        return draw_study(study, objectives, numbers, roles=marked_trials(folder))
    drawing = curve_figure(folder)
    # Of more variants than one tells apart: lines that are named under the pointer alone.
    curves = (
        draw_study(study, objectives, numbers, (CURVES,)) if drawing is None else Drawings(figures={CURVES: drawing})
    )
    drawn = {**comparison_figures(folder), **curves.figures, **perturbation_figures(perturbed_variants(folder))}
    return Drawings(figures=drawn, missing=curves.missing)


def marked_trials(folder: StudyFolder) -> dict[int, str]:
    """The ledger's numbers of the trials that every figure marks; the base that is the best is the best."""
    base, best = base_trial(folder), best_trial(folder)
    roles = {} if base is None else {base.number: "base"}
    return roles if best is None else {**roles, best.number: "best"}


def optuna_numbers(folder: StudyFolder) -> dict[int, int]:
    """Optuna's numbers of the study's own trials -> the ledger's."""
    return {trial.optuna: trial.number for trial in folder.ledger.trials.values() if trial.optuna >= 0}
