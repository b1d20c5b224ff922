"""Looking at the test split after every epoch: it tells what selecting there would pretend, and changes nothing."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dclf.config import Config
from dclf.data.dialogue import Dialogue
from dclf.data.reader import ShardSet
from dclf.inference import predictor_of
from dclf.training import checkpoint
from dclf.training.evaluation import score_predictor
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun, train
from dclf.training.reports import EpochReport, FinalReport, SplitReport, optimism
from tests.dclf.training.test_loop import NARROW, Recorder, run, with_

SHARES = st.floats(0, 1)


def as_paper(config: Config) -> Config:
    return with_(config, "train", protocol="paper")


def plain(value: Any) -> Any:
    """A checkpoint without times and without what was seen on test; tensors as lists, so that bits are compared."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {
            key: plain(item)
            for key, item in value.items()
            if key not in ("seconds", "ended", "machine", "peeked", "protocol")
        }
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def report(epoch: int, test_wf1: float | None = None) -> EpochReport:
    scores = {} if test_wf1 is None else {"wf1": test_wf1}
    return EpochReport(
        epoch=epoch, epochs=9, losses={}, validation={}, best_epoch=1, best_wf1=0.5, seconds=1.0, peeked=scores
    )


@pytest.mark.parametrize(
    ("model", "pairs", "patience"),
    [("mmgcn", "bank", 0), ("ddin", "batch", 1), ("dialogue_rnn", "bank", 2), ("aghmn", "bank", 0)],
)
def test_training_choice_and_sealed_scores_are_bit_by_bit_those_of_a_sealed_run(
    config: Config, shards: ShardSet, model: str, pairs: str, patience: int
) -> None:
    config = with_(config, "model", name=model, options=NARROW[model])
    config = with_(with_(config, "loss", pairs=pairs), "train", epochs=4, patience=patience)
    sealed, paper = Recorder(), Recorder()
    first = run(config, shards, reporter=sealed)
    second = run(as_paper(config), shards, reporter=paper)
    assert second.splits == first.splits
    assert plain(second.to_dict()) == plain(first.to_dict())
    assert len(paper.states) == len(sealed.states) > 0
    for ours, theirs in zip(paper.states, sealed.states, strict=True):
        assert plain(ours) == plain(theirs), "weights, optimiser, bank, random states and progress"
    assert all(epoch.peeked for epoch in second.history)
    assert not any(epoch.peeked for epoch in first.history)
    assert first.optimism is None


def test_what_an_epoch_sees_on_test_is_its_own_models_score(config: Config, shards: ShardSet) -> None:
    config = as_paper(with_(config, "train", epochs=5))
    recorder = Recorder()
    final = run(config, shards, reporter=recorder)
    alone = []
    for epoch, state in zip(final.history, recorder.states, strict=True):
        own = {**state, "progress": {**state["progress"], "best_model": state["model"]}}
        scores = score_predictor(predictor_of(own), shards, "test").scores
        alone.append(scores["wf1"])
        assert dict(epoch.peeked) == {name: value for name, value in scores.items() if "shift" not in name}
    selection = final.optimism
    assert selection is not None
    best = max(alone)
    assert (selection.epoch, selection.scores["wf1"]) == (alone.index(best) + 1, best)
    final_wf1 = alone[final.history[-1].best_epoch - 1]
    assert selection.sealed_wf1 == final_wf1 == final.splits["test"].scores["wf1"]
    assert selection.gap == pytest.approx(100 * (best - final_wf1))


def test_test_is_read_once_and_kept(config: Config, shards: ShardSet) -> None:
    splits: list[str] = []

    class Spy(LocalSource):
        def dialogues(self, split: str) -> Iterator[Dialogue]:
            splits.append(split)
            return super().dialogues(split)

    train(as_paper(config), Spy(shards, config.data.modalities), shards)
    assert splits.count("test") == splits.count("val") == 1


def test_an_older_checkpoint_goes_on_under_either_protocol(config: Config, shards: ShardSet, tmp_path: Path) -> None:
    recorder = Recorder()
    whole = run(config, shards, reporter=recorder)
    old = deepcopy(recorder.states[0])
    del old["config"]["train"]["protocol"]
    for epoch in old["progress"]["history"]:
        del epoch["peeked"]
    checkpoint.save(tmp_path, old)
    assert predictor_of(checkpoint.load(tmp_path)).config.train.protocol == "sealed"
    sealed = run(config, shards, state=checkpoint.load(tmp_path))
    assert plain(sealed.to_dict()) == plain(whole.to_dict())
    paper = run(as_paper(config), shards, state=checkpoint.load(tmp_path))
    assert [bool(epoch.peeked) for epoch in paper.history] == [False, True, True]
    assert paper.splits == whole.splits
    assert paper.optimism is not None
    assert paper.optimism.epoch > 1, "the first epoch did not look"


def test_a_paper_checkpoint_remembers_what_was_seen(config: Config, shards: ShardSet, tmp_path: Path) -> None:
    source = LocalSource(shards, config.data.modalities)
    first = TrainingRun(as_paper(config), source, shards)
    first.prepare()
    scores = first.epoch().peeked
    checkpoint.save(tmp_path, first.state())
    second = TrainingRun(as_paper(config), source, shards)
    second.restore(checkpoint.load(tmp_path))
    assert second.progress.history[0].peeked == scores != {}


def test_reports_travel_as_json_and_older_ones_are_read() -> None:
    split = SplitReport(split="test", scores={"wf1": 0.5}, confusion=[[1]], utterances=1)
    final = FinalReport(class_names=["sad"], history=[report(1, 0.25), report(2, 0.75)], splits={"test": split})
    content = json.loads(json.dumps(final.to_dict()))
    again = FinalReport.from_dict(content)
    assert again == final
    assert again.optimism is not None
    assert again.optimism.gap == 25.0
    for epoch in content["history"]:
        del epoch["peeked"]
    older = FinalReport.from_dict(content)
    assert [epoch.peeked for epoch in older.history] == [{}, {}]
    assert older.optimism is None
    assert replace(final, splits={}).optimism is None


@given(st.lists(st.none() | SHARES, max_size=8), SHARES)
def test_the_gap_by_hand(scores: list[float | None], sealed: float) -> None:
    selection = optimism([report(epoch, wf1) for epoch, wf1 in enumerate(scores, start=1)], sealed)
    values = [wf1 for wf1 in scores if wf1 is not None]
    if not values:
        assert selection is None
        return
    assert selection is not None
    best = max(values)
    assert selection.epoch == scores.index(best) + 1, "of equal epochs the first"
    assert selection.gap == pytest.approx(100 * best - 100 * sealed)


@given(st.lists(SHARES, min_size=1, max_size=8), st.data())
def test_selecting_on_test_never_looks_worse(scores: list[float], data: st.DataObject) -> None:
    score = data.draw(st.sampled_from(scores))
    selection = optimism([report(epoch, wf1) for epoch, wf1 in enumerate(scores, start=1)], score)
    assert selection is not None
    assert selection.gap >= 0
