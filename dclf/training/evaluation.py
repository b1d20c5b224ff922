"""Scoring a split: every worker predicts its share, the predictions are gathered, the scores are of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dclf.data.batch import Batch
from dclf.data.reader import ShardSet
from dclf.data.shifts import emotion_shifts
from dclf.errors import WrongInputError
from dclf.inference import Predictor
from dclf.metrics import classification_scores, confusion, shift_scores
from dclf.models.framework import DCLF
from dclf.training.batches import batches
from dclf.training.local import LocalSource
from dclf.training.preflight import CheckedSource, check_shards
from dclf.training.reports import SplitReport
from dclf.training.workers import Workers


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    """What a model says of N labelled utterances.

    Attributes:
        targets: int64 [N].
        classes: int64 [N], the predicted ones.
        shifts: bool [N], which utterances shift in emotion.
    """

    targets: NDArray[np.int64]
    classes: NDArray[np.int64]
    shifts: NDArray[np.bool_]


def predictions(model: DCLF, collated: Iterable[Batch], workers: Workers) -> SplitPredictions:
    """Predict every worker's utterances, of which the labelled are kept; the same result on all workers."""
    parts = [_predicted(model, batch) for batch in _on_device(collated, workers.device)]
    shares = workers.gather(_joined(parts))
    return _joined(shares)


def evaluate_split(
    model: DCLF,
    collated: Iterable[Batch],
    workers: Workers,
    split: str,
    class_names: tuple[str, ...],
    *,
    shifts: bool = True,
) -> SplitReport:
    """Score a split; the same report on every worker.

    Args:
        model: the model.
        collated: this worker's share of the split.
        workers: all of them.
        split: its name.
        class_names: emotion of each class index.
        shifts: whether utterances with and without emotion shift are scored apart too.

    Raises:
        WrongInputError: the split has no labelled utterance.
    """
    outputs = predictions(model, collated, workers)
    targets, classes = outputs.targets, outputs.classes
    if not len(targets):
        raise WrongInputError(
            f"split {split!r} must have labelled utterances to score, has none; check it with `dclf data inspect`"
        )
    apart = shift_scores(targets, classes, outputs.shifts, class_names) if shifts else {}
    return SplitReport(
        split=split,
        scores={**classification_scores(targets, classes, class_names), **apart},
        confusion=confusion(targets, classes, class_names).tolist(),
        utterances=len(targets),
    )


def score_predictor(predictor: Predictor, shards: ShardSet, split: str) -> SplitReport:
    """Score a trained model on a split of a shard set, in this process; the other splits may be empty.

    Raises:
        DataError: the shards lack the split or a modality, hold broken dialogues, or do not fit the model.
    """
    check_shards(shards, predictor.modalities, only=split)
    predictor.check(shards.info)
    source = CheckedSource(LocalSource(shards, predictor.modalities), shards.info, predictor.modalities)
    collated = batches(source.dialogues(split), predictor.config.train.batch_size, predictor.modalities)
    workers = Workers(torch.device("cpu"))
    return evaluate_split(predictor.model, collated, workers, split, predictor.info.class_names)


def _predicted(model: DCLF, batch: Batch) -> SplitPredictions:
    labels, speakers = batch.labels.cpu().numpy(), batch.speakers.cpu().numpy()
    ends = np.cumsum(batch.layout.lengths)[:-1]
    dialogues = zip(np.split(labels, ends), np.split(speakers, ends), strict=True)
    shifts = np.concatenate([emotion_shifts(emotions, voices) for emotions, voices in dialogues])
    outputs = SplitPredictions(labels, model.predict(batch).argmax(dim=-1).cpu().numpy(), shifts)
    labelled = labels >= 0
    if labelled.all():
        return outputs
    return SplitPredictions(labels[labelled], outputs.classes[labelled], shifts[labelled])


def _joined(parts: Sequence[SplitPredictions]) -> SplitPredictions:
    return SplitPredictions(
        targets=np.concatenate([np.zeros(0, dtype=np.int64), *(part.targets for part in parts)]),
        classes=np.concatenate([np.zeros(0, dtype=np.int64), *(part.classes for part in parts)]),
        shifts=np.concatenate([np.zeros(0, dtype=np.bool_), *(part.shifts for part in parts)]),
    )


def _on_device(collated: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    for batch in collated:
        yield batch.to(device)
