"""Published figures stand beside measured ones on the data they are of, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.config import Config, DataConfig, ModelConfig
from dclf.data import generate, read_shards, write_shards
from dclf.data.dialogue import MODALITIES
from dclf.paper_data import TABLE_2, papers_modalities, unlike_paper
from tests.paper_data import TEST, WIDTHS, write_like_paper

PUBLISHED = {"dataset": "iemocap", "mmgcn": {"table3": {}}, "aghmn": {"table1": {}}}


def config(
    shards: Path | str, *, model: str = "mmgcn", modalities: tuple[Any, ...] = MODALITIES, **published: Any
) -> Config:
    return Config(
        data=DataConfig(shards=str(shards), modalities=modalities),
        model=ModelConfig(name=model),
        published={**PUBLISHED, **published},
    )


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_like_paper(tmp_path_factory.mktemp("own") / "iemocap")


@pytest.mark.parametrize("dataset", TABLE_2)
def test_the_papers_data_are_the_papers(tmp_path: Path, dataset: str) -> None:
    assert TEST[dataset] == (TABLE_2[dataset].dialogues, TABLE_2[dataset].utterances)
    assert unlike_paper(config(write_like_paper(tmp_path / "data", dataset), dataset=dataset)) == ()


def test_unlabelled_utterances_make_no_difference(tmp_path: Path, own: Path) -> None:
    shards = read_shards(own)
    longer = (
        replace(
            dialogue,
            speakers=np.append(dialogue.speakers, np.int32(0)),
            labels=np.append(dialogue.labels, np.int32(-1)),
            features={m: np.concatenate([rows, rows[:1]]) for m, rows in dialogue.features.items()},
        )
        for dialogue in shards
    )
    write_shards(longer, tmp_path / "data", shards.info)
    assert unlike_paper(config(tmp_path / "data")) == ()


def test_the_order_of_the_classes_is_the_data_sets_own(tmp_path: Path) -> None:
    names = ("neutral", "joy", "sadness", "anger", "fear", "disgust", "surprise")
    assert unlike_paper(config(write_like_paper(tmp_path / "data", "meld", class_names=names), dataset="meld")) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"utterances": 1622}, "the test split has 1,622 utterances in 31 dialogues, the paper's 1,623 in 31"),
        ({"classes": 5}, "no utterance of the test split is frustrated"),
        ({"classes": 4}, "no utterance of the test split is excited or frustrated"),
        ({"dataset": "mine"}, "the data are mine, the figures of iemocap"),
        ({"dataset": "generated-iemocap"}, "the data are generated"),
        ({"provenance": {"importer": "generate"}}, "the data are generated"),
        (
            {"class_names": ("joy", "sad", "neutral", "angry", "excited", "frustrated")},
            "the classes are joy, sad, neutral, angry, excited and frustrated, in the paper angry, excited, ",
        ),
    ],
)
def test_each_difference_is_told(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    dataset = changes.pop("dataset", "iemocap")
    shards = write_like_paper(tmp_path / "data", **changes)
    manifest = json.loads((shards / "manifest.json").read_text())
    (shards / "manifest.json").write_text(json.dumps({**manifest, "dataset": dataset}))
    (reason,) = unlike_paper(config(shards))
    assert reason.startswith(words)


def test_generated_data_of_the_papers_size_are_generated(tmp_path: Path) -> None:
    info, _ = generate("iemocap")
    write_shards([], tmp_path / "data", replace(info, widths=WIDTHS))
    assert unlike_paper(config(tmp_path / "data")) == ("the data are generated",)


def test_models_have_to_read_what_the_papers_read(own: Path) -> None:
    assert unlike_paper(config(own, modalities=("visual", "audio", "text"))) == ()
    expected = ("read are text and audio, in the paper text, audio and visual",)
    assert unlike_paper(config(own, modalities=("text", "audio"))) == expected
    assert papers_modalities(config(own, model="aghmn")) == ("text",)
    assert unlike_paper(config(own, model="aghmn", modalities=("text",))) == ()
    assert unlike_paper(config(own, model="aghmn", modalities=("audio",))) == ("read are audio, in the paper text",)


def test_somebodys_own_figures_go_by_the_name_of_the_data(tmp_path: Path) -> None:
    info, _ = generate("iemocap-small")
    write_shards([], tmp_path / "data", replace(info, dataset="mine", provenance={}))
    assert unlike_paper(config(tmp_path / "data", dataset="mine")) == ()
    assert unlike_paper(config(tmp_path / "data", dataset="")) == (
        "the data are mine, the figures of no data set that is named",
    )


def test_data_that_cannot_be_read_have_no_figures(own: Path) -> None:
    assert unlike_paper(config("nowhere")) == ("the shards cannot be read now",)
    assert unlike_paper(config("nowhere"), str(own)) == ()
