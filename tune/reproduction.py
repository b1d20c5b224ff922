"""The paper's tables and figures, measured: every study that they need, and one page of all of them.

>>> from tune.reproduction import plan_reproduction, reproduce
>>> plan = plan_reproduction("iemocap", {"data.shards": "shards/iemocap"}, seeds=5)  # doctest: +SKIP
>>> reproduce(plan).html  # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tune.analysis.comparison.claims import most_different
from tune.analysis.comparison.system_table import compared_table
from tune.config.local_files import save_text
from tune.config.study_files import datasets
from tune.progress.interactive import listening
from tune.runner.evaluations import concluded
from tune.runner.named_study import NamedStudy
from tune.runner.reproduction_plan import ReproductionPlan, items, plan_reproduction
from tune.study.events import Listener, ReproductionStudy, send
from tune.study.folder import StudyFolder
from tune.tracking import writes
from tune.tracking.children import KIND_TAG, STUDY_TAG, find_runs
from tune.tracking.manners import manners, mlflow_settings
from tune.tracking.reopening import create_run
from tune.tracking.store import connect, resolve_tracking_uri
from tune.tracking.trouble import explained
from tune.tracking.writes import Sender

if TYPE_CHECKING:
    from tune.report.reproduction import ReproductionFiles

__all__ = ["NamedStudy", "ReproductionPlan", "datasets", "items", "plan_reproduction", "reproduce"]

KIND = "reproduction"
"""Of the run that has the page, beside the runs of its studies."""
_log = logging.getLogger(__name__)
RECORDED = "recorded.txt"
"""In the page's folder: hash of the page that its run in MLflow has."""


@mlflow_settings()
def reproduce(
    plan: ReproductionPlan,
    *,
    listeners: Sequence[Listener] | None = None,
    progress: str = "auto",
    verbose: bool = False,
    address: str | None = None,
) -> ReproductionFiles:
    """Run what is not done yet, study after study, and write the page.

    A study that was cut short goes on where it was; trainings that several studies need are run once. The page is
    written anew behind every study, so that it shows what there is whenever the work is cut short.

    Args:
        plan: from ``plan_reproduction``.
        listeners: are called with the events (``tune.study.events``) of each study that is worked on.
        progress: how it is shown, as for ``tune.train``.
        verbose: let Ray and MLflow speak.
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.

    Raises:
        Exception: as ``tune.sweeps.sweep`` and ``resume``.
    """
    files = None
    with ExitStack() as stack, listening(listeners, progress) as audience:
        for study in plan.every:
            if not study.to_run:
                continue
            folder = study.existing_folder()
            if folder is not None and concluded(folder):
                _log.info(f"{study.item}: study {study.name} is finished")
                continue
            _join_ray(stack, study, verbose=verbose, address=address)
            send(ReproductionStudy(study.planned.plan["paper"], study.planned.plan["title"]), audience)
            # Imported here: a page of finished studies needs no Ray.
            from tune.sweeps import begin_or_resume  # noqa: PLC0415

            begin_or_resume(study, "study", listeners=audience, verbose=verbose, address=address)
            files = _write_page(plan)
    # Where all studies were finished, the page may still be missing, or be of another selection.
    files = files or _write_page(plan)
    _record(plan, files)
    return files


def _join_ray(stack: ExitStack, study: NamedStudy, *, verbose: bool, address: str | None) -> None:
    """One Ray for all studies: starting it takes as long as several short trainings."""
    from cluster.machine import machine_cpus  # noqa: PLC0415 - brings Ray
    from cluster.session import ray_session, reaches_cluster  # noqa: PLC0415
    from cluster.trial_plan import local_cpus_for_trials, local_trial_resources, plan_trials  # noqa: PLC0415

    if reaches_cluster(address):
        return
    config, settings = study.planned.config, study.planned.settings
    # Refused before Ray starts, as for a single study.
    plan_trials(config, settings, local_trial_resources(config, settings))
    slots = local_cpus_for_trials(config, settings, machine_cpus())
    stack.enter_context(ray_session(address, verbose=verbose, num_cpus=slots, kept_bytes=settings.cache_mb << 20))


def _write_page(plan: ReproductionPlan) -> ReproductionFiles:
    # Imported here: matplotlib is slow to import.
    from tune.report.reproduction import write_reproduction  # noqa: PLC0415

    folders, missing = _page(plan)
    others = plan.compared.existing_folder()
    studies = [others] if others is not None else folders
    other = most_different(folder.definition for folder in studies)
    compared = {"table-3-compared": compared_table(plan.dataset, others, other)}
    return write_reproduction(folders, missing, plan.out, plan.title, plan.notes, compared)


def _page(plan: ReproductionPlan) -> tuple[list[StudyFolder], dict[str, str]]:
    """The studies that have anything to show, and why the others have nothing."""
    folders, missing = [], {}
    for study in plan.every:
        folder = study.existing_folder()
        paper = str(study.planned.plan["paper"])
        if folder is None and study is plan.compared and not study.to_run:
            continue  # the table of the compared systems says so
        if folder is None:
            missing[paper] = "not run yet" if study.to_run else "not asked for (--only)"
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
    _send_page(
        track.uri,
        track.experiment,
        # Not after the page's folder: folders of several reproductions may be called the same, or have quotes.
        f"reproduce-{plan.name}",
        note="\n".join(f"- {sentence}" for sentence in files.sentences),
        params={"dataset": plan.dataset, **{study.item: study.name for study in plan.every}},
        files={
            "": [files.html, files.markdown],
            "tables": files.tables.values(),
            "figures": [*files.figures.values(), *files.pictures.values()],
        },
    )
    save_text(recorded, f"{digest}\n")


def _send_page(
    uri: str,
    experiment: str,
    name: str,
    *,
    note: str,
    params: Mapping[str, object],
    files: Mapping[str, Iterable[Path]],
) -> None:
    """Write the page to its run, which is made where there is none of that name.

    Args:
        uri: as ``track.uri``.
        experiment: as ``track.experiment``.
        name: of the run.
        note: the text on the run's page.
        params: what was run.
        files: folder among the artifacts -> files, over earlier ones.

    Raises:
        TrackingError: the store does not answer or does not take them.
    """
    store = connect(resolve_tracking_uri(uri), experiment)
    with explained(store.uri), manners():
        runs = find_runs(store, name, {KIND_TAG: KIND})
        run_id = runs[0].info.run_id if runs else create_run(store, name, {STUDY_TAG: name, KIND_TAG: KIND}).run_id
        recorded = runs[0].data.params if runs else {}
        send = Sender(store.client, run_id, store.experiment_id)
        for write in (
            *writes.text_values("params", {key: value for key, value in params.items() if key not in recorded}),
            *writes.text_values("tags", {"mlflow.note.content": note}),
            *(writes.artifact(file, folder) for folder, group in files.items() for file in group),
            writes.status("FINISHED"),
        ):
            send(write)
