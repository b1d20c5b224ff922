"""The sealed test split: the winner of a search is scored on it once, after the search."""

from __future__ import annotations

from pathlib import Path

from cluster.storage import latest_checkpoint
from dclf.training.reports import SplitReport
from tune.report.ranking import best_trial
from tune.study.folder import StudyFolder
from tune.study.recorder import StudyRecorder


def score_best(folder: StudyFolder, recorder: StudyRecorder) -> dict[int, SplitReport]:
    """Score each training of the best trial on test, unless that was done before.

    Returns:
        seed -> report, of those scored now.
    """
    best = best_trial(folder)
    if best is None:
        return {}
    known = folder.ledger.tested
    scored = {}
    for seed in best.runs:
        if (best.number, seed) not in known:
            report = score_checkpoint(_latest(folder.checkpoint(best.number, seed)))
            folder.ledger.test(best.number, seed, report.scores)
            recorder.tested(best.number, seed, report)
            scored[seed] = report
    return scored


def _latest(place: Path) -> Path:
    """A training's last checkpoint; of several workers Ray Train keeps several, each in a folder of its own."""
    found = latest_checkpoint(str(place.parent), place.name)
    return place if found is None else Path(found)


def score_checkpoint(folder: Path) -> SplitReport:
    """The best epoch's model of a checkpoint on the test split of its shards.

    Raises:
        CheckpointError: the checkpoint is gone.
        DataError: the shards do not fit it.
    """
    # Imported here: a driver that only looks on needs no models.
    from dclf.data import read_shards  # noqa: PLC0415
    from dclf.inference import predictor_of  # noqa: PLC0415
    from dclf.training import checkpoint  # noqa: PLC0415
    from dclf.training.evaluation import score_predictor  # noqa: PLC0415

    predictor = predictor_of(checkpoint.load(folder))
    return score_predictor(predictor, read_shards(predictor.config.data.shards), "test")
