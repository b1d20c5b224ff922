"""Where a study's ledger and its parent run in MLflow do not agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from tune.runner.finding import Finding
from tune.runner.parent_writes import progress_writes, winner_writes
from tune.runner.run_findings import RecordedRun
from tune.study.folder import StudyFolder
from tune.study.parent import PARENT_NOTE, created_ms, parent_id
from tune.tracking import writes
from tune.tracking.children import KIND_TAG, STUDY_TAG
from tune.tracking.ending import STATUS_TAG
from tune.tracking.reopening import create_run, reopen_run, stored_run
from tune.tracking.store import Store
from tune.tracking.writes import Sender

_SUBJECT = "the study"


def parent_findings(
    folder: StudyFolder, store: Store, runs: Sequence[RecordedRun], *, alive: bool
) -> Iterator[Finding]:
    """Every disagreement on the parent run.

    Args:
        folder: the study.
        store: an open store.
        runs: all of the study.
        alive: a driver works on it.
    """
    run_id = parent_id(folder)
    own = next((run for run in runs if run.run_id == run_id), None)
    if run_id is None:
        yield from () if alive else _unnamed(folder, store, runs)
    elif own is None:
        fix = partial(_bring_back, folder, store, run_id)
        problem = f"its parent run {run_id} is gone from MLflow"
        yield Finding(subject=_SUBJECT, problem=problem, remedy="it is brought back or made again", fix=fix)
    elif own.status == "RUNNING" and not alive:
        problem = f"its parent run {run_id} is left RUNNING, and nobody works on it"
        fix = partial(_close, folder, store, run_id)
        yield Finding(subject=_SUBJECT, problem=problem, remedy="it is marked KILLED", fix=fix)


def _unnamed(folder: StudyFolder, store: Store, runs: Sequence[RecordedRun]) -> Iterator[Finding]:
    definition = folder.definition
    for run in runs:
        if run.tags.get(KIND_TAG) == definition.kind and run.started >= created_ms(definition):
            fix = partial(_adopt, folder, store, run.run_id)
            problem = f"the ledger does not name its parent run {run.run_id}"
            yield Finding(subject=_SUBJECT, problem=problem, remedy="it will", fix=fix)
            return


def _close(folder: StudyFolder, store: Store, run_id: str) -> None:
    """Close the parent run of a study that nobody works on."""
    send = Sender(store.client, run_id, store.experiment_id)
    for write in (
        writes.history([*progress_writes(folder, 1), *winner_writes(folder)]),
        *writes.text_values("tags", {STATUS_TAG: "killed: the study was cut short"}),
        writes.status("KILLED"),
    ):
        send(write)


def _adopt(folder: StudyFolder, store: Store, run_id: str) -> None:
    """Have the ledger name the parent run, on which nobody works."""
    folder.ledger.note(PARENT_NOTE, run_id=run_id, store=store.name)
    _close(folder, store, run_id)


def _bring_back(folder: StudyFolder, store: Store, run_id: str) -> None:
    """Bring back the deleted parent run, or make another one where it is gone."""
    if stored_run(store, run_id) is not None:
        reopen_run(store, run_id, {})
        _close(folder, store, run_id)
    else:
        definition = folder.definition
        run = create_run(store, definition.name, {STUDY_TAG: definition.name, KIND_TAG: definition.kind})
        _adopt(folder, store, run.run_id)
