"""Where a study's ledger and its parent run in MLflow do not agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from tune.runner.mend_finding import Finding
from tune.runner.mend_scribe import Scribe
from tune.runner.mend_survey import SeenRun
from tune.study.folder import StudyFolder
from tune.study.parent import created_ms, noted_store, parent_id
from tune.tracking.children import KIND_TAG
from tune.tracking.store import Store, TrackingError

_SUBJECT = "the study"


def parent_findings(folder: StudyFolder, scribe: Scribe, seen: Sequence[SeenRun], *, alive: bool) -> Iterator[Finding]:
    """Every disagreement on the parent run.

    Args:
        folder: the study.
        scribe: mends.
        seen: all runs of the study.
        alive: a driver works on it.
    """
    known = parent_id(folder)
    own = next((run for run in seen if run.run_id == known), None)
    if known is None:
        yield from () if alive else _unnamed(folder, scribe, seen)
    elif own is None:
        fix = partial(scribe.bring_back_parent, known)
        problem = f"its parent run {known} is gone from MLflow"
        yield Finding(subject=_SUBJECT, problem=problem, remedy="it is brought back or made again", fix=fix)
    elif own.status == "RUNNING" and not alive:
        problem = f"its parent run {known} is left RUNNING, and nobody works on it"
        fix = partial(scribe.kill_parent, known)
        yield Finding(subject=_SUBJECT, problem=problem, remedy="it is marked KILLED", fix=fix)


def require_parent(folder: StudyFolder, store: Store, scribe: Scribe) -> None:
    """Refuse a store that never held the study, or lost it: everything would look unrecorded there.

    Raises:
        TrackingError: the parent run that the ledger names is not in the store.
    """
    known = parent_id(folder)
    if known is None or scribe.has(known):
        return
    noted = noted_store(folder)
    name = folder.definition.name
    if noted == store.name:
        advice = f"bring it back with: dclf doctor {name} --fix"
    else:
        advice = f"the study is recorded at {noted}; name that store in MLFLOW_TRACKING_URI"
    raise TrackingError(f"MLflow at {store.name} has no parent run {known} of study {name!r}; {advice}")


def _unnamed(folder: StudyFolder, scribe: Scribe, seen: Sequence[SeenRun]) -> Iterator[Finding]:
    definition = folder.definition
    for run in seen:
        if run.tags.get(KIND_TAG) == definition.kind and run.started >= created_ms(definition):
            fix = partial(scribe.adopt_parent, run.run_id)
            problem = f"the ledger does not name its parent run {run.run_id}"
            yield Finding(subject=_SUBJECT, problem=problem, remedy="it will", fix=fix)
            return
