"""A leaderboard: base models without and with DCLF, each from its own preset, on the same data with the same seeds.

>>> from tune.leaderboards import leaderboard, plan_leaderboard
>>> plan = plan_leaderboard("shards/iemocap", models=["mmgcn", "aghmn"], seeds=5)  # doctest: +SKIP
>>> study = leaderboard(plan)  # doctest: +SKIP
>>> study.report  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence

from dclf.data import feature_card
from tune.analysis.comparison.variants import LEADERBOARD
from tune.progress.interactive import listening
from tune.runner.evaluations import concluded
from tune.runner.leaderboard_plan import plan_leaderboard
from tune.runner.named_study import NamedStudy
from tune.studies import Study, open_study
from tune.study.events import Listener
from tune.study.folder import StudyFolder
from tune.study.places import StudyError
from tune.study.reuse import trial_hash
from tune.tracking.manners import mlflow_settings

_MEASURED = ("layout", "evaluations", "perturbation")
"""Keys of a plan that say what comes of the trainings."""
__all__ = ["NamedStudy", "leaderboard", "plan_leaderboard"]


@mlflow_settings()
def leaderboard(
    plan: NamedStudy,
    *,
    listeners: Sequence[Listener] | None = None,
    progress: str = "auto",
    verbose: bool = False,
    address: str | None = None,
) -> Study:
    """Begin the study, or go on with it where an earlier call has begun it; of a finished one draw the page again.

    Args:
        plan: from ``plan_leaderboard``.
        listeners: are called with the study's events (``tune.study.events``).
        progress: how it is shown, as for ``tune.train``.
        verbose: let Ray and MLflow speak.
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.

    Raises:
        StudyError: there is another study of this name.
        Exception: as ``tune.sweeps.sweep`` and ``resume``.
    """
    folder = plan.existing_folder()
    if folder is not None:
        _require_same(plan, folder)
    if folder is not None and concluded(folder):
        return _drawn_again(folder, plan)
    # Imported here: the page of a finished study needs no Ray.
    from tune.sweeps import begin_or_resume  # noqa: PLC0415

    with listening(listeners, progress) as audience:
        return begin_or_resume(plan, LEADERBOARD, listeners=audience, verbose=verbose, address=address)


def _require_same(plan: NamedStudy, folder: StudyFolder) -> None:
    """Refuse to go on with a study that trains something else.

    Raises:
        StudyError: names it.
    """
    own, theirs = plan.planned, folder.definition
    first = theirs.base.train.seed
    trainings = {
        trial_hash(theirs, variant["params"], seed)
        for variant in theirs.variants
        for seed in range(first, first + theirs.sweep.seeds)
    }
    same = all(own.plan.get(key) == theirs.plan.get(key) for key in _MEASURED)
    if trainings != plan.trainings or not same or feature_card(own.config.data.shards).sha256 != theirs.shards_sha256:
        raise StudyError(
            f"study {plan.name!r} in {plan.storage} compares something else than was asked for now; leave --name out, "
            f"name another one, or go on with it as it is: dclf resume {plan.name}"
        )


def _drawn_again(folder: StudyFolder, plan: NamedStudy) -> Study:
    # Imported here: matplotlib is slow to import.
    from tune.report.files import write_report  # noqa: PLC0415
    from tune.runner.optuna_study import load_study  # noqa: PLC0415

    write_report(folder, load_study(folder))
    folder.share_files()
    return open_study(plan.name, storage=plan.storage)
