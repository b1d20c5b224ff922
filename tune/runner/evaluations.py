"""What is measured on a study's models once all are trained, and whether anything is left to do for a study."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cluster.actors import ActorSettings
from tune.analysis.perturbation.files import load_study_perturbations
from tune.analysis.speed import measure_speeds, unmeasured
from tune.study.events import ConditionScored, Event, PerturbationStarted
from tune.study.folder import StudyFolder
from tune.study.progress import progress_of
from tune.study.ranking import untested

if TYPE_CHECKING:
    from tune.analysis.perturbation.settings import PerturbationSettings

_log = logging.getLogger(__name__)

PERTURBATION, SPEED = "perturbation", "speed"
TOLD_EVERY_S = 15.0
"""Nobody waits longer for a word of a perturbation test, but for one condition that takes longer."""


def evaluations_of(folder: StudyFolder) -> Sequence[str]:
    """Names of what is measured; none but for study files."""
    return tuple(folder.definition.plan.get("evaluations", ()))


def evaluate_models(folder: StudyFolder, actors: ActorSettings) -> None:
    """Measure what the study file asks for; what was measured before is not measured again.

    Args:
        folder: the study; all of its trials have ended.
        actors: where models are scored.

    Raises:
        Exception: as ``tune.perturbations.perturb_study``.
    """
    if PERTURBATION in evaluations_of(folder):
        # Imported here: most studies do without the models that this brings.
        from tune.analysis.perturbation.study import StudyTarget  # noqa: PLC0415
        from tune.report.perturbation_page import run_with_page  # noqa: PLC0415

        out = folder.path.parent.parent / "perturbations"
        run_with_page(StudyTarget(folder, out), _settings(folder), [_Quarters()], actors)
    if SPEED in evaluations_of(folder) and (waiting := unmeasured(folder)):
        _log.info(f"measuring what an utterance costs {len(waiting)} models, one after the other")
        measure_speeds(folder)


def evaluated(folder: StudyFolder) -> bool:
    """Whether everything that the study file asks for is measured; test scores are another matter."""
    if SPEED in evaluations_of(folder) and unmeasured(folder):
        return False
    if PERTURBATION not in evaluations_of(folder):
        return True
    results = load_study_perturbations(folder)
    return results is not None and not results.missing


def concluded(folder: StudyFolder) -> bool:
    """Whether nothing is left to do for a comparison: all is trained, scored and measured, and its report is there."""
    if progress_of(folder).standing != "finished" or untested(folder) or not evaluated(folder):
        return False
    return (folder.path / "report" / "report.html").exists()


def _settings(folder: StudyFolder) -> PerturbationSettings:
    """Settings of the perturbation test that the plan names, else the usual ones."""
    from tune.analysis.perturbation.settings import PerturbationSettings  # noqa: PLC0415 - brings torch

    options, usual = folder.definition.plan.get(PERTURBATION, {}), PerturbationSettings()
    return replace(usual, kinds=tuple(options.get("kinds", usual.kinds)), draws=options.get("draws", usual.draws))


class _Quarters:
    """Tells of a perturbation test at its begin, at every quarter, and where these are far apart between them."""

    def __init__(self) -> None:
        self._total, self._done, self._log_time = 0, 0, time.monotonic()

    def __call__(self, event: Event) -> None:
        """Log what is scored and where, then how many are scored."""
        if isinstance(event, PerturbationStarted):
            self._total = event.total
            for line in (event.title, *event.lines):
                _log.info(f"perturbation test: {line}")
        elif isinstance(event, ConditionScored):
            before, self._done = self._done, self._done + 1
            quarter = 4 * self._done // self._total > 4 * before // self._total
            if quarter or time.monotonic() - self._log_time > TOLD_EVERY_S:
                self._log_time = time.monotonic()
                _log.info(f"perturbation test: {self._done} of {self._total} conditions scored")
