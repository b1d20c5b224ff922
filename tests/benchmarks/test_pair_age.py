"""What ``benchmarks/pair_age.py`` finds: an age that is there, and none in the memory bank's pairs."""

from typing import Any

import pytest

from benchmarks.pair_age import BAR, probe
from dclf.data import generate, read_shards, write_shards
from dclf.data.reader import ShardSet

SMALL: dict[str, dict[str, Any]] = {
    "iemocap": {"hidden": 12, "node_width": 16, "layers": 2},
    "iemocap-ddin": {
        "encoder_width": 10,
        "history_width": 12,
        "party_width": 10,
        "emotion_width": 8,
        "decoder_width": 8,
    },
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    folder = tmp_path_factory.mktemp("pairs") / "shards"
    info, dialogues = generate("iemocap-small")
    write_shards(dialogues, folder, info)
    return read_shards(folder)


def aucs(shards: ShardSet, preset: str, *, at_once: bool) -> list[dict[str, float]]:
    options = {f"model.options.{name}": value for name, value in SMALL[preset].items()}
    return probe(shards, preset, 2, at_once=at_once, changes={**options, "train.lr": 1e-2})


@pytest.mark.parametrize("preset", SMALL)
def test_nothing_but_what_was_said_tells_positives_from_negatives(shards: ShardSet, preset: str) -> None:
    for epoch in aucs(shards, preset, at_once=False):
        assert epoch["emotion, time"] < BAR
        assert epoch["utterance"] == pytest.approx(0.5, abs=1e-9), "the same vectors on both sides"


def test_the_probe_sees_the_age_of_states_that_are_replaced_at_once(shards: ShardSet) -> None:
    first, _ = aucs(shards, "iemocap", at_once=True)
    assert first["utterance"] > BAR + 0.05
