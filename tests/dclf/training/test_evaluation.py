"""What is gathered of a split lies utterance beside utterance, however the dialogues are batched."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dclf.config import Config
from dclf.data import emotion_shifts, read_shards, write_shards
from dclf.data.errors import DataError
from dclf.data.reader import ShardSet
from dclf.inference import Predictor
from dclf.training.batches import batches
from dclf.training.evaluation import predictions, score_predictor
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


def test_the_split_that_is_scored_is_all_that_is_asked_for(config: Config, shards: ShardSet, tmp_path: Path) -> None:
    training = TrainingRun(config, LocalSource(shards, config.data.modalities), shards)
    training.prepare()
    predictor = Predictor(config, shards.info, training.model.state_dict())
    write_shards(shards.select(split="test"), tmp_path / "testonly", shards.info)
    alone = read_shards(tmp_path / "testonly")
    assert score_predictor(predictor, alone, "test") == score_predictor(predictor, shards, "test")
    with pytest.raises(DataError, match=r"split 'val' of .*testonly must have dialogues, is empty; score another"):
        score_predictor(predictor, alone, "val")
    bare = [replace(dialogue, labels=np.full(len(dialogue), -1)) for dialogue in alone]
    write_shards(bare, tmp_path / "bare", shards.info)
    with pytest.raises(DataError, match=r"no utterance of the test split of .*bare has a label to score"):
        score_predictor(predictor, read_shards(tmp_path / "bare"), "test")
