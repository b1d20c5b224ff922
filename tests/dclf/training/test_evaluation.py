"""What is gathered of a split lies utterance beside utterance, however the dialogues are batched."""

import numpy as np
import pytest
import torch

from dclf.config import Config
from dclf.data import emotion_shifts
from dclf.data.reader import ShardSet
from dclf.training.batches import batches
from dclf.training.evaluation import predictions
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun
from dclf.training.workers import Workers


@pytest.mark.parametrize("size", [1, 3, 100])
def test_predictions_lie_beside_their_targets_and_shifts(config: Config, shards: ShardSet, size: int) -> None:
    source = LocalSource(shards, config.data.modalities)
    training = TrainingRun(config, source, shards)
    training.prepare()
    collated = batches(source.dialogues("val"), size, config.data.modalities)
    outcome = predictions(training.model, collated, Workers(torch.device("cpu")))
    dialogues = list(source.dialogues("val"))
    np.testing.assert_array_equal(outcome.targets, np.concatenate([d.labels for d in dialogues]))
    np.testing.assert_array_equal(
        outcome.shifts, np.concatenate([emotion_shifts(d.labels, d.speakers) for d in dialogues])
    )
    assert outcome.shifts.any()
    alone = predictions(
        training.model, batches(iter(dialogues), 1, config.data.modalities), Workers(torch.device("cpu"))
    )
    np.testing.assert_array_equal(outcome.classes, alone.classes)


def test_nothing_gives_nothing(config: Config, shards: ShardSet) -> None:
    training = TrainingRun(config, LocalSource(shards, config.data.modalities), shards)
    outcome = predictions(training.model, iter(()), Workers(torch.device("cpu")))
    assert (len(outcome.targets), len(outcome.classes), len(outcome.shifts)) == (0, 0, 0)
