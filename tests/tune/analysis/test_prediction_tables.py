import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dclf.config import Config, DataConfig
from dclf.data import write_shards
from dclf.data.generator import generate
from dclf.data.reader import read_shards
from dclf.inference import Predictor
from dclf.models.framework import DCLF
from dclf.training.evaluation import score_predictor
from tune.analysis.prediction_tables import prediction_writes


def test_shards_that_are_gone_cost_the_tables_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    info, _ = generate("iemocap-small", dialogues=12)
    config = Config(data=DataConfig(shards=str(tmp_path / "gone")))
    model = DCLF(info, config.data.modalities, config.model, config.loss)
    predictor = Predictor(config, info, model.state_dict())
    assert prediction_writes(predictor, config.data.shards, ["val", "test"], "run first") == []
    assert "run first: what its model says of each utterance is not sent to MLflow" in caplog.text


def test_the_table_says_of_every_utterance_what_the_scores_count(tmp_path: Path) -> None:
    info, dialogues = generate("iemocap-small", dialogues=12)
    several = list(dialogues)
    first = next(i for i, dialogue in enumerate(several) if dialogue.split == "test")
    unlabelled = several[first].labels.copy()
    unlabelled[1] = -1
    several[first] = replace(several[first], labels=unlabelled)
    write_shards(several, tmp_path / "shards", info)
    config = Config(data=DataConfig(shards=str(tmp_path / "shards")))
    torch.manual_seed(0)
    model = DCLF(info, config.data.modalities, config.model, config.loss)
    predictor, shards = Predictor(config, info, model.state_dict()), read_shards(config.data.shards)
    *tables, tag = prediction_writes(predictor, config.data.shards, ["val", "test"], "run first")
    assert [table.body["file"] for table in tables] == ["results/predictions_val.json", "results/predictions_test.json"]
    assert [one["path"] for one in json.loads(tag.body["values"]["mlflow.loggedArtifacts"])] == [
        table.body["file"] for table in tables
    ]
    names = list(info.class_names)
    for split, table in zip(("val", "test"), tables, strict=True):
        content = json.loads(table.body["text"])
        assert content["columns"] == [
            "dialogue",
            "utterance",
            "truth",
            "prediction",
            *(f"probability/{name}" for name in names),
        ]
        rows = content["data"]
        places = [(one.dialogue_id, i) for one in several if one.split == split for i in range(len(one))]
        assert sorted((row[0], row[1]) for row in rows) == sorted(places)
        counts = np.zeros((len(names), len(names)), int)
        for _, _, truth, prediction, *probabilities in rows:
            assert abs(sum(probabilities) - 1) < 1e-3
            if truth is not None:
                counts[names.index(truth), names.index(prediction)] += 1
        assert counts.tolist() == score_predictor(predictor, shards, split).confusion
    assert [row[1] for row in rows if row[2] is None] == [1]
