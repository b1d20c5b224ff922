"""Extraction with real encoders: MELD's rows on two actors, and an encoder that learns first."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import pytest

import tune
from cluster.actors import ActorSettings
from dclf.data import import_dataset, read_shards
from dclf.extraction import settings_of
from dclf.extraction.fine_tuning import FineTuningOptions
from dclf.extraction.text import TextSettings
from tests.dclf.extraction.conftest import minilm  # noqa: F401 - a fixture
from tests.dclf.extraction.tiny_encoders import write_encoder
from tests.real_data import real_data
from tests.tune.test_extraction import write_table


def write_first_dialogues(meld: Path, folder: Path, count: int) -> None:
    """MELD's tables, and the published rows, of its first dialogues in every split."""
    for name in ("train", "dev", "test"):
        with (meld / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        numbers = [number for number, row in enumerate(rows) if int(row["Dialogue_ID"]) < count]
        np.save(folder / f"{name}_rows.npy", np.load(meld / f"{name}_minilm.npy")[numbers])
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows[number] for number in numbers)


@pytest.mark.meld
@pytest.mark.ray
@pytest.mark.slow
def test_melds_rows_come_out_as_they_were_published(
    local_ray: None,
    tmp_path: Path,
    minilm: Path,  # noqa: F811
) -> None:
    write_first_dialogues(real_data("meld"), tmp_path, 12)
    manifest = tune.extract(
        tmp_path,
        tmp_path / "shards",
        text=str(minilm),
        actors=ActorSettings(actors=2),
        batch_size=16,
        cache=tmp_path / "cache",
    )
    import_dataset("meld-csv", tmp_path, tmp_path / "published", text=str(tmp_path / "{split}_rows.npy"))
    assert sum(manifest.utterances.values()) > 250
    for dialogue, published in zip(read_shards(tmp_path / "shards"), read_shards(tmp_path / "published"), strict=True):
        assert dialogue.dialogue_id == published.dialogue_id
        assert dialogue.utterances == published.utterances
        np.testing.assert_array_equal(dialogue.labels, published.labels)
        np.testing.assert_allclose(dialogue.features["text"], published.features["text"], atol=1e-3)


@pytest.mark.slow
def test_an_encoder_learns_from_the_training_split_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    write_table(tmp_path, [f"I {'like' if number % 3 else 'hate'} it {number % 7}" for number in range(40)])
    encoder = write_encoder(tmp_path / "encoder", layers=1)
    features = []
    for name in ("once", "again", "plain"):
        manifest = tune.extract(
            tmp_path / "talks.csv",
            tmp_path / name,
            text=str(encoder),
            options={"text": {"pooling": "mean"}},
            fine_tune=None if name == "plain" else FineTuningOptions(epochs=2, batch_size=4),
            actors=ActorSettings(actors=1),
            cache=tmp_path / "cache",
        )
        features.append(np.concatenate([d.features["text"] for d in read_shards(tmp_path / name)]))
        if name != "plain":
            facts = manifest.info.provenance["extraction"]
            assert isinstance(facts, dict)
            settings = settings_of(facts["text"])
            assert isinstance(settings, TextSettings)
            assert settings.fine_tuned is not None
            assert (settings.fine_tuned.data, settings.fine_tuned.utterances) == ("training split only", 16)
    np.testing.assert_array_equal(features[0], features[1])
    assert np.abs(features[0] - features[2]).max() > 1e-3
    assert caplog.text.count("fine-tuning: epoch") == 2
