"""The trained models that runs of a study hold in MLflow: the winner's, and of a comparison every variant's.

They are logged when all is decided. A note in the ledger says of which trainings, so that a run whose model never
arrived is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cluster.temporary import TemporaryFolder
from dclf.modalities import SCORED_SPLITS
from dclf.training.checkpoint import is_format_2
from tune.analysis.comparison.variants import is_comparison
from tune.study.checkpoints import has_checkpoint
from tune.study.folder import StudyFolder
from tune.study.ranking import best_trial
from tune.tracking import records, writes
from tune.tracking.children import Key
from tune.tracking.model import pack_model
from tune.tracking.writes import Write

_MODEL_NOTE = "model"
"""Kind of the ledger's notes on a training whose run is to hold its model."""


def noted_models(folder: StudyFolder) -> set[Key]:
    """Trainings whose runs are to hold their models."""
    notes = folder.ledger.notes
    return {(int(note["number"]), int(note["seed"])) for note in notes if note["kind"] == _MODEL_NOTE}


def note_models(folder: StudyFolder) -> list[Key]:
    """Have the ledger note the trainings that are to hold their models and were not noted before; return them.

    Args:
        folder: the study; all of its trials have ended, and the test split is scored.
    """
    best, every, earlier_keys = best_trial(folder), is_comparison(folder.definition), noted_models(folder)
    candidates = [key for key in folder.ledger.tested if every or (best is not None and key[0] == best.number)]
    keys = [key for key in candidates if key not in earlier_keys and has_checkpoint(folder.checkpoint(*key))]
    # Those of format 2 an earlier version has trained, and this one cannot read them.
    keys = [key for key in keys if not is_format_2(folder.fetched(*key))]
    for number, seed in keys:
        folder.ledger.note(_MODEL_NOTE, number=number, seed=seed)
    return keys


def model_writes(folder: StudyFolder, key: Key, target: Path) -> Iterator[Write]:
    """Give the writes of a training's model and what it says of validation and test; none without its checkpoint.

    Args:
        folder: the study.
        key: trial and seed; scored on the test split.
        target: folder to make, which the writes speak of.

    Raises:
        CheckpointError: the checkpoint cannot be read.
    """
    # Imported here: who only compares needs neither models nor Ray.
    from dclf.inference import load_model, save_model  # noqa: PLC0415
    from dclf.training import checkpoint  # noqa: PLC0415
    from tune.analysis.prediction_tables import prediction_writes  # noqa: PLC0415
    from tune.analysis.scoring import last_checkpoint  # noqa: PLC0415

    place = folder.fetched(*key)
    if not has_checkpoint(place):
        return
    with TemporaryFolder("model") as trained:
        save_model(trained, checkpoint.load(last_checkpoint(place)))
        pack_model(trained, target)
        predictor = load_model(trained)
    scores, when = folder.ledger.tested[key], folder.ledger.tested_at[key]
    # Under the step and time at which the run has them, see ``child_writes.test_writes``.
    body = {"scores": records.metric_names(scores, "test"), "step": 0, "timestamp": writes.stamp(when)}
    yield Write("model", {"folder": str(target), "token": "", **body})
    yield from prediction_writes(predictor, folder.definition.base.data.shards, SCORED_SPLITS, f"trial {key[0]}")
