"""What resuming puts right before it begins: after any kill, MLflow says what the ledger says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tune.runner.mend_children import ChildFindings, asked_metrics
from tune.runner.mend_finding import apply_fixes
from tune.runner.mend_parent import require_parent
from tune.runner.mend_scribe import Scribe
from tune.runner.mend_survey import SeenRun, is_local, survey
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED
from tune.study.parent import parent_id
from tune.tracking.children import PARENT_TAG, SEED_TAG, TRIAL_TAG
from tune.tracking.store import Store


def mend(folder: StudyFolder, store: Store) -> list[str]:
    """Bring the study's runs in MLflow in line with its ledger.

    The parent run is left to the driver, which opens it. On a server only what a kill can leave behind is looked at:
    runs that are not FINISHED, and trials whose run the ledger does not know; ``dclf doctor`` looks at all.

    Args:
        folder: the study, locked by this process.
        store: an open store.

    Returns:
        what was done, in one line, and what could not be, one line each.

    Raises:
        TrackingError: the store does not answer, or does not have the study.
    """
    scribe = Scribe(folder, store)
    require_parent(folder, store, scribe)
    if parent_id(folder) is None or not folder.ledger.trials:
        return []
    all_seen = is_local(store)
    seen = list(_seen(folder, store, all_seen=all_seen))
    done, left = apply_fixes(ChildFindings(folder, scribe, all_seen=all_seen).among(seen))
    summary = [f"MLflow: {len(done)} records put right after the last driver"] if done else []
    return [*summary, *(finding.line for finding in left)]


def _seen(folder: StudyFolder, store: Store, *, all_seen: bool) -> Iterator[SeenRun]:
    study, metrics = folder.definition.name, asked_metrics(folder)
    found = survey(store, study, metrics, unfinished=not all_seen)
    yield from found
    if not all_seen:
        known = {run.run_id for run in found}
        for tags in _unnamed(folder):
            yield from (run for run in survey(store, study, metrics, tags) if run.run_id not in known)


def _unnamed(folder: StudyFolder) -> Sequence[dict[str, str]]:
    """Tags of the runs of ended trials that the ledger does not name."""
    parent = parent_id(folder) or ""
    first = folder.definition.base.train.seed
    return [
        {PARENT_TAG: parent, TRIAL_TAG: str(trial.number), SEED_TAG: str(seed)}
        for trial in folder.ledger.trials.values()
        if trial.state in ENDED
        for seed in (trial.runs or (first,))
        if seed not in trial.runs or not trial.runs[seed].run_id
    ]
