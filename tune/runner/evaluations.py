"""What a study file has measured on a study's models once all are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cluster.model_plan import ActorSettings
from tune.analysis.perturbation.files import load_study_perturbations
from tune.study.folder import StudyFolder

PERTURBATION = "perturbation"


def evaluations_of(folder: StudyFolder) -> Sequence[str]:
    """Names of what is measured; none but for study files."""
    return tuple(folder.definition.plan.get("evaluations", ()))


def evaluate_models(folder: StudyFolder, actors: ActorSettings, note: Callable[[str], None]) -> None:
    """Measure what the study file asks for; what was measured before is not measured again.

    Args:
        folder: the study; all of its trials have ended.
        actors: where models are scored.
        note: hears how it goes.

    Raises:
        Exception: as ``tune.analysis.perturbation.study.perturb_study``.
    """
    if PERTURBATION in evaluations_of(folder):
        # Imported here: most studies do without the models that this brings.
        from tune.analysis.perturbation.study import perturb_study  # noqa: PLC0415

        perturb_study(folder, out=folder.path.parent.parent / "perturbations", view=_Quarters(note), actors=actors)


def evaluated(folder: StudyFolder) -> bool:
    """Whether everything that the study file asks for is measured; test scores are another matter."""
    if PERTURBATION not in evaluations_of(folder):
        return True
    found = load_study_perturbations(folder)
    return found is not None and not found.missing


class _Quarters:
    """Tells of a perturbation test at its begin and at every quarter: a study scores hundreds of conditions."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._total, self._done = 0, 0

    def started(self, title: str, lines: Sequence[str], total: int) -> None:
        """Say what is scored, and where."""
        self._total = total
        for line in (title, *lines):
            self._note(f"perturbation test: {line}")

    def scored(self, name: str, wf1: float) -> None:  # noqa: ARG002
        """Say how many are scored."""
        before, self._done = self._done, self._done + 1
        if 4 * self._done // self._total > 4 * before // self._total:
            self._note(f"perturbation test: {self._done} of {self._total} conditions scored")
