"""The sealed test split: the winner of a search, or every variant of a comparison, is scored on it once, at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cluster.storage import latest_checkpoint
from dclf.training.reports import SplitReport
from tune.report.ranking import untested
from tune.study.folder import StudyFolder
from tune.study.recorder import StudyRecorder


def score_sealed(folder: StudyFolder, recorder: StudyRecorder, note: Callable[[str], None]) -> None:
    """Score on test what ``sweep.test`` names, each training once in the study's life.

    Args:
        folder: the study; all of its trials have ended.
        recorder: writes to MLflow.
        note: hears when there is more than a winner to score.
    """
    waiting = untested(folder)
    if folder.definition.sweep.test == "all" and waiting:
        note(f"scoring {len(waiting)} trained models on the test split, each once")
    for number, seed in waiting:
        report = score_checkpoint(last_checkpoint(folder.fetched(number, seed)))
        folder.ledger.test(number, seed, report.scores)
        recorder.tested(number, seed, report.scores)


def last_checkpoint(place: Path) -> Path:
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
