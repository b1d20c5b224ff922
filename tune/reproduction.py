"""The paper's tables and figures, measured: every study that they need, and one page of all of them.

>>> from tune.reproduction import plan_reproduction, reproduce
>>> plan = plan_reproduction("iemocap", {"data.shards": "shards/iemocap"}, seeds=5)  # doctest: +SKIP
>>> reproduce(plan).html  # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tune.config.local_files import save_text
from tune.progress.interactive import listening
from tune.runner.evaluations import concluded
from tune.runner.reproduction_plan import NamedStudy, ReproductionPlan, datasets, items, plan_reproduction
from tune.runner.reproduction_record import record_page
from tune.study.events import Listener, ReproductionStudy, send
from tune.study.folder import StudyFolder
from tune.tracking.manners import mlflow_settings

if TYPE_CHECKING:
    from tune.report.reproduction import ReproductionFiles

__all__ = ["NamedStudy", "ReproductionPlan", "datasets", "items", "plan_reproduction", "reproduce"]

_log = logging.getLogger(__name__)
RECORDED = "recorded.txt"
"""In the page's folder: hash of the page that its run in MLflow has."""


@mlflow_settings()
def reproduce(
    plan: ReproductionPlan,
    *,
    listeners: Sequence[Listener] | None = None,
    verbose: bool = False,
    address: str | None = None,
) -> ReproductionFiles:
    """Run what is not done yet, study after study, and write the page.

    A study that was cut short goes on where it was; trainings that several studies need are run once. The page is
    written anew behind every study, so that it shows what there is whenever the work is cut short.

    Args:
        plan: from ``plan_reproduction``.
        listeners: are called with the events (``tune.study.events``) of each study that is worked on; lines where
            Python is interactive, and nothing elsewhere, where None.
        verbose: let Ray and MLflow speak.
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.

    Raises:
        Exception: as ``tune.sweeps.sweep`` and ``resume``.
    """
    # Imported here: the page of finished studies needs no Ray.
    from tune.report.reproduction import write_reproduction  # noqa: PLC0415

    files = None
    with ExitStack() as stack, listening(listeners) as audience:
        for study in plan.studies:
            if not study.wanted:
                continue
            folder = study.existing_folder()
            if folder is not None and concluded(folder):
                _log.info(f"{study.item}: study {study.name} is finished")
                continue
            _join_ray(stack, study, verbose=verbose, address=address)
            send(ReproductionStudy(study.planned.plan["paper"], study.planned.plan["title"]), audience)
            _run(study, audience, verbose=verbose, address=address)
            files = write_reproduction(*_page(plan), plan.out, plan.title, plan.notes)
    # Where all studies were finished, the page may still be missing, or be of another selection.
    files = files or write_reproduction(*_page(plan), plan.out, plan.title, plan.notes)
    _record(plan, files)
    return files


def _run(study: NamedStudy, listeners: Sequence[Listener], *, verbose: bool, address: str | None) -> None:
    from tune.sweeps import resume, sweep  # noqa: PLC0415 - as above

    if study.existing_folder() is not None:
        resume(study.name, storage=str(study.storage), listeners=listeners, verbose=verbose, address=address)
        return
    planned = study.planned
    sweep(
        planned.config,
        planned.settings,
        name=study.name,
        listeners=listeners,
        verbose=verbose,
        address=address,
        kind="study",
        described=planned.described,
    )


def _join_ray(stack: ExitStack, study: NamedStudy, *, verbose: bool, address: str | None) -> None:
    """One Ray for all studies: starting it takes as long as several short trainings."""
    from cluster.machine import machine_cpus  # noqa: PLC0415 - as above
    from cluster.session import ray_session, reaches_cluster  # noqa: PLC0415
    from cluster.trial_plan import local_cpus_for_trials, local_trial_resources, plan_trials  # noqa: PLC0415

    if reaches_cluster(address):
        return
    config, settings = study.planned.config, study.planned.settings
    # Refused before Ray starts, as for a single study.
    plan_trials(config, settings, local_trial_resources(config, settings))
    slots = local_cpus_for_trials(config, settings, machine_cpus())
    stack.enter_context(ray_session(address, verbose=verbose, num_cpus=slots, kept_bytes=settings.cache_mb << 20))


def _page(plan: ReproductionPlan) -> tuple[list[StudyFolder], dict[str, str]]:
    """The studies that have anything to show, and why the others have nothing."""
    folders, missing = [], {}
    for study in plan.studies:
        folder = study.existing_folder()
        paper = str(study.planned.plan["paper"])
        if folder is None:
            missing[paper] = "not run yet" if study.wanted else "not asked for (--only)"
        elif not folder.ledger.tested:
            missing[paper] = f"study {study.name} has no test scores yet; call the same command again"
        else:
            folders.append(folder)
    return folders, missing


def _record(plan: ReproductionPlan, files: ReproductionFiles) -> None:
    """Bring the page to MLflow, unless it is there as it stands."""
    digest = hashlib.sha256(files.markdown.read_bytes()).hexdigest()
    recorded = plan.out / RECORDED
    if recorded.exists() and recorded.read_text(encoding="utf-8").strip() == digest:
        return
    track = plan.studies[0].planned.config.track
    record_page(
        track.uri,
        track.experiment,
        f"reproduce-{plan.out.name}",
        note="\n".join(f"- {sentence}" for sentence in files.sentences),
        params={"dataset": plan.dataset, **{study.item: study.name for study in plan.studies}},
        files={
            "": [files.html, files.markdown],
            "tables": files.tables.values(),
            "figures": [*files.figures.values(), *files.pictures.values()],
        },
    )
    save_text(recorded, f"{digest}\n")
