"""Scoring a split: every worker predicts its share, the predictions are gathered, the scores are of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from dclf.data.batch import Batch
from dclf.data.reader import ShardSet
from dclf.inference import Predictor
from dclf.metrics import classification_scores, confusion
from dclf.models.framework import DCLF
from dclf.training.batches import batches
from dclf.training.local import LocalSource
from dclf.training.preflight import CheckedSource, check_shards
from dclf.training.reports import SplitReport
from dclf.training.workers import Workers


def predictions(
    model: DCLF, collated: Iterable[Batch], workers: Workers
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Targets and predicted classes, int64 [T] each, of all workers' utterances."""
    targets: list[NDArray[np.int64]] = []
    classes: list[NDArray[np.int64]] = []
    for batch in _on_device(collated, workers.device):
        targets.append(batch.labels.cpu().numpy())
        classes.append(model.predict(batch).argmax(dim=-1).cpu().numpy())
    shares = workers.gather((_joined(targets), _joined(classes)))
    return _joined([share[0] for share in shares]), _joined([share[1] for share in shares])


def evaluate_split(
    model: DCLF, collated: Iterable[Batch], workers: Workers, split: str, class_names: tuple[str, ...]
) -> SplitReport:
    """Score a split; the same report on every worker.

    Raises:
        ValueError: the split has no utterance.
    """
    targets, classes = predictions(model, collated, workers)
    if not len(targets):
        raise ValueError(f"split {split!r} must have utterances to score, has none; check it with `dclf data inspect`")
    return SplitReport(
        split=split,
        scores=classification_scores(targets, classes, class_names),
        confusion=confusion(targets, classes, class_names).tolist(),
        utterances=len(targets),
    )


def score_predictor(predictor: Predictor, shards: ShardSet, split: str) -> SplitReport:
    """Score a trained model on a split of a shard set, in this process.

    Raises:
        DataError: the shards lack the split or a modality, hold broken dialogues, or do not fit the model.
    """
    check_shards(shards, predictor.modalities)
    predictor.check(shards.info)
    source = CheckedSource(LocalSource(shards, predictor.modalities), shards.info, predictor.modalities)
    collated = batches(source.dialogues(split), predictor.config.train.batch_size, predictor.modalities)
    workers = Workers(torch.device("cpu"))
    return evaluate_split(predictor.model, collated, workers, split, predictor.info.class_names)


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _on_device(collated: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    for batch in collated:
        yield batch.to(device)
