"""The feature card counts right and says so in three forms."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dclf.data import FeatureCard, emotion_shifts, feature_card, write_shards
from dclf.data.manifest import read_manifest
from tests.dclf.data.support import CLASSES, make_dialogues, make_info, sparse_dialogues


@pytest.fixture
def card(tmp_path: Path) -> FeatureCard:
    write_shards(make_dialogues(), tmp_path / "set", make_info(), max_shard_bytes=1500)
    return feature_card(tmp_path / "set")


def test_the_numbers_of_each_split_are_those_of_its_dialogues(card: FeatureCard) -> None:
    for split, numbers in card.splits.items():
        own = [d for d in make_dialogues() if d.split == split]
        labels = np.concatenate([d.labels for d in own])
        assert numbers.dialogues == len(own)
        assert numbers.utterances == len(labels)
        assert numbers.classes == {name: int((labels == number).sum()) for number, name in enumerate(CLASSES)}
        assert numbers.emotion_shifts == sum(emotion_shifts(d.labels, d.speakers).sum() for d in own)
        lengths = [len(d) for d in own]
        assert (numbers.shortest, numbers.longest) == (min(lengths), max(lengths))
        assert numbers.mean_length == pytest.approx(np.mean(lengths))
        assert numbers.speakers_per_dialogue == max(len(set(d.speakers.tolist())) for d in own)


def test_the_card_carries_hashes_widths_and_provenance(card: FeatureCard, tmp_path: Path) -> None:
    manifest = read_manifest(tmp_path / "set")
    assert card.sha256 == manifest.sha256
    assert card.files == {entry.file: entry.sha256 for entry in (manifest.index, *manifest.shards)}
    assert card.widths == {"text": 5, "audio": 4, "visual": 3}
    assert card.provenance["seed"] == 3


def test_the_card_as_json_and_as_text(card: FeatureCard) -> None:
    assert json.loads(json.dumps(card.to_dict()))["splits"]["test"]["dialogues"] == 3
    markdown, text = card.to_markdown(), card.to_text()
    for form in (markdown, text):
        assert "# toy" in form
        assert "| utterances             |       15 |        7 |        9 |" in form
        assert card.sha256 in form
    assert "|---" in markdown
    assert "|---" not in text


def test_the_provenance_reads_as_a_person_writes_it(tmp_path: Path) -> None:
    provenance = {
        "planted": {"keep": 0.68, "carries": {"text": 0.6, "audio": 0.45}},
        "sources": ["a.csv", "b.csv"],
        "left out": [],
    }
    write_shards(make_dialogues(), tmp_path / "set", replace(make_info(), provenance=provenance))
    text = feature_card(tmp_path / "set").to_text()
    assert "- planted: keep 0.68, carries (text 0.6, audio 0.45)\n- sources: a.csv, b.csv\n- left out: none\n" in text


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    write_shards(sparse_dialogues(), tmp_path / "sparse", make_info(), max_shard_bytes=1500)
    return tmp_path / "sparse"


def test_it_counts_what_is_missing_per_split(sparse: Path) -> None:
    splits = feature_card(sparse).splits
    assert {name: split.unlabelled for name, split in splits.items()} == {"train": 3, "val": 0, "test": 0}
    assert {name: split.missing for name, split in splits.items()} == {
        "train": {"text": 1, "audio": 2},
        "val": {"audio": 1},
        "test": {},
    }
    train = splits["train"]
    assert sum(train.classes.values()) == train.utterances - 3


def test_it_says_what_is_missing_and_nothing_where_nothing_is(sparse: Path, card: FeatureCard) -> None:
    text = feature_card(sparse).to_text()
    assert "| unlabelled             |        3 |        0 |        0 |" in text
    assert "| without text           |        1 |        0 |        0 |" in text
    assert "| without audio          |        2 |        1 |        0 |" in text
    assert "without visual" not in text
    assert "unlabelled" not in card.to_text()
    assert "without" not in card.to_text()


def test_an_empty_split_counts_zero(tmp_path: Path) -> None:
    write_shards(make_dialogues(val=0), tmp_path / "set", make_info())
    empty = feature_card(tmp_path / "set").splits["val"]
    assert (empty.dialogues, empty.utterances, empty.shortest, empty.mean_length, empty.longest) == (0, 0, 0, 0.0, 0)
    assert empty.speakers_per_dialogue == empty.emotion_shifts == 0
