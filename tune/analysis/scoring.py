"""Scores a trained model on the test split."""

from __future__ import annotations

from pathlib import Path

from cluster.storage import latest_checkpoint
from dclf.training.reports import SplitReport


def last_checkpoint(place: Path) -> Path:
    """A training's last checkpoint; of several workers Ray Train keeps several, each in a folder of its own."""
    latest = latest_checkpoint(str(place.parent), place.name)
    return place if latest is None else Path(latest)


def score_checkpoint(folder: Path, shards: str = "") -> SplitReport:
    """The best epoch's model of a checkpoint on the test split.

    Args:
        folder: the checkpoint.
        shards: where they are now; where they were when the checkpoint was written, unless given.

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
    return score_predictor(predictor, read_shards(shards or predictor.config.data.shards), "test")
