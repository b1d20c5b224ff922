"""Shards of other programs: their checksums are good, their content is not, and training says so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dclf.config import Config, ModelConfig
from dclf.data import Dialogue, feature_card, read_shards, write_shards
from dclf.data.errors import DataError
from dclf.data.reader import ShardSet
from dclf.training.local import LocalSource
from dclf.training.loop import train
from dclf.training.preflight import CheckedSource, check_classes, check_shards
from tests.dclf.data.support import write_unchecked

Change = Callable[[Dialogue], Dialogue]


def other_first(values: np.ndarray, value: float) -> np.ndarray:
    changed = values.copy()
    changed[0] = value
    return changed


def with_audio(dialogue: Dialogue, audio: np.ndarray) -> Dialogue:
    return replace(dialogue, features={**dialogue.features, "audio": audio})


IN_THE_INDEX: dict[str, tuple[Change, str]] = {
    "label": (lambda d: replace(d, labels=other_first(d.labels, 17)), "label 17 at utterance 0 is out of range 0..5"),
    "negative": (lambda d: replace(d, labels=other_first(d.labels, -2)), "label -2 at utterance 0 is out of range"),
    "speaker": (lambda d: replace(d, speakers=other_first(d.speakers, 9)), "speaker 9 at utterance 0 is out of range"),
}
IN_THE_FEATURES: dict[str, tuple[Change, str]] = {
    "not a number": (lambda d: with_audio(d, other_first(d.features["audio"], np.nan)), "audio features hold NaN"),
    "infinite": (lambda d: with_audio(d, other_first(d.features["audio"], np.inf)), "audio features hold NaN or inf"),
    "too few rows": (lambda d: with_audio(d, d.features["audio"][1:]), "rows of audio features for"),
}


@pytest.fixture
def broken(shards: ShardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Change], ShardSet]:
    """The shards with the first dialogue of a split changed."""

    def write(split: str, change: Change) -> ShardSet:
        dialogues = list(shards)
        place = next(n for n, dialogue in enumerate(dialogues) if dialogue.split == split)
        dialogues[place] = change(dialogues[place])
        write_unchecked(monkeypatch, dialogues, tmp_path / "broken", shards.info)
        return read_shards(tmp_path / "broken")

    return write


@pytest.mark.parametrize("case", IN_THE_INDEX)
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_and_speakers_are_refused_before_any_feature_is_read(
    broken: Callable[[str, Change], ShardSet], case: str, split: str
) -> None:
    change, words = IN_THE_INDEX[case]
    shard_set = broken(split, change)
    name = shard_set.index(split).dialogue_ids[0]
    for look in (lambda: check_shards(shard_set, ["text"]), lambda: feature_card(shard_set.path)):
        with pytest.raises(DataError, match=f"dialogue '{name}': {words}"):
            look()


def test_a_dialogue_in_two_splits_is_refused_before_any_feature_is_read(
    shards: ShardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialogues = list(shards)
    twice = replace(dialogues[0], split="test")
    write_unchecked(monkeypatch, [*dialogues, twice], tmp_path / "twice", shards.info)
    with pytest.raises(DataError, match=f"{twice.dialogue_id}.* is in two splits, train and test; keep it in one"):
        check_shards(read_shards(tmp_path / "twice"), ["text"])


def test_classes_that_the_model_cannot_learn_are_refused(shards: ShardSet, tmp_path: Path) -> None:
    check_classes(shards, ModelConfig(name="graphsmile"))
    write_shards(shards, tmp_path / "bored", replace(shards.info, class_names=("bored", *shards.info.class_names[1:])))
    bored = read_shards(tmp_path / "bored")
    with pytest.raises(
        DataError, match=r"model\.name graphsmile: classes must be emotions of a known sentiment .* bored"
    ):
        check_classes(bored, ModelConfig(name="graphsmile"))
    check_classes(bored, ModelConfig(name="graphsmile", options={"sentiment_weight": 0.0, "shift_weight": 0.0}))
    check_classes(bored, ModelConfig(name="mmgcn"))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_a_label_is_refused(shards: ShardSet, tmp_path: Path, split: str) -> None:
    bare = [replace(d, labels=np.full(len(d), -1)) if d.split == split else d for d in shards]
    write_shards(bare, tmp_path / "bare", shards.info)
    with pytest.raises(
        DataError, match=f"no utterance of the {split} split has a label: training needs some in all of"
    ):
        check_shards(read_shards(tmp_path / "bare"), ["text"])


def test_speakers_that_are_fewer_than_labels_are_refused(broken: Callable[[str, Change], ShardSet]) -> None:
    shard_set = broken("val", lambda d: replace(d, speakers=d.speakers[1:]))
    with pytest.raises(DataError, match=r"the val split has \d+ speakers for \d+ labels"):
        check_shards(shard_set, ["text"])


@pytest.mark.parametrize("case", IN_THE_FEATURES)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_broken_features_end_the_run_and_are_named(
    broken: Callable[[str, Change], ShardSet], config: Config, case: str, split: str
) -> None:
    change, words = IN_THE_FEATURES[case]
    shard_set = broken(split, change)
    config = replace(config, train=replace(config.train, epochs=1))
    with pytest.raises(DataError, match=rf"the {split} split is not valid .*\n.*{words}"):
        train(config, LocalSource(shard_set, config.data.modalities), shard_set)


def test_modalities_that_are_not_read_may_be_broken(broken: Callable[[str, Change], ShardSet]) -> None:
    shard_set = broken("train", IN_THE_FEATURES["not a number"][0])
    source = CheckedSource(LocalSource(shard_set, ("text",)), shard_set.info, ("text",))
    assert len(list(source.dialogues("train"))) == len(shard_set.index("train"))


def test_later_passes_are_not_looked_at_again(shards: ShardSet) -> None:
    class Changing:
        sound = True

        def dialogues(self, split: str):
            for dialogue in LocalSource(shards, ("audio",)).dialogues(split):
                yield dialogue if self.sound else IN_THE_FEATURES["infinite"][0](dialogue)

    inner = Changing()
    source = CheckedSource(inner, shards.info, ("audio",))
    first = len(list(source.dialogues("val")))
    inner.sound = False
    assert len(list(source.dialogues("val"))) == first


def test_features_that_other_runs_read_are_left_out(shards: ShardSet) -> None:
    """Trials of a study share one source, which has what any of them reads."""
    source = CheckedSource(LocalSource(shards, shards.info.modalities), shards.info, ("text",))
    alone = CheckedSource(LocalSource(shards, ("text",)), shards.info, ("text",))
    for shared, own in zip(source.dialogues("train"), alone.dialogues("train"), strict=True):
        assert list(shared.features) == list(own.features) == ["text"]
        assert np.array_equal(shared.features["text"], own.features["text"])
