"""Scores under substituted contexts while a model is trained: whose they are, when, and that training knows nothing."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dclf.config import Config
from dclf.data import read_shards, write_shards
from dclf.data.errors import DataError
from dclf.data.index import DialogueIndex
from dclf.data.reader import ShardSet
from dclf.inference import predictor_of
from dclf.perturb import Conversations, score_substituted, substitute_context
from dclf.training.evaluation import score_predictor
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun
from dclf.training.preflight import check_shards, robustness_problems
from dclf.training.reports import EpochReport
from dclf.training.run_cache import RunCache
from tests.dclf.training.test_loop import NARROW, Recorder, run, with_
from tests.dclf.training.test_paper_protocol import plain


@pytest.fixture(scope="module")
def robust(enough: ShardSet, tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Few dialogues to train on, and enough for validation to find replacements for all."""
    few = [
        dialogue
        for split, count in (("train", 8), ("val", None), ("test", 2))
        for dialogue in list(enough.select(split=split))[:count]
    ]
    folder = tmp_path_factory.mktemp("shards") / "robust"
    write_shards(few, folder, enough.info)
    return read_shards(folder)


SCORES = {"eccs/wf1", "eics/wf1", "shift/wf1"}


def perturbed(config: Config, every: int, **train: object) -> Config:
    return with_(config, "train", perturb_every=every, **train)


def without(value: object) -> object:
    """A checkpoint, or a report of a run, without these scores and times; tensors as lists."""
    if isinstance(value, dict):
        return {key: without(item) for key, item in value.items() if key not in ("robust", "perturb_every")}
    return [without(item) for item in value] if isinstance(value, list) else value


def alone(state: Mapping[str, object], shards: ShardSet) -> dict[str, float]:
    """What the kept model of a checkpoint comes to by the functions of a perturbation test."""
    predictor = predictor_of(dict(state))
    dialogues = Conversations.of(shards.select(split="val"), predictor.modalities)
    scores = {"shift/wf1": score_predictor(predictor, shards, "val").scores["shift/wf1"]}
    for kind in ("eccs", "eics"):
        draw = substitute_context(dialogues, dialogues, kind, seed=0, draw=0)
        scores[f"{kind}/wf1"] = score_substituted(predictor, dialogues, dialogues, draw).scores["wf1"]
    return scores


@pytest.mark.parametrize(("model", "patience", "every"), [("mmgcn", 0, 2), ("ddin", 1, 3), ("dialogue_rnn", 2, 1)])
def test_training_is_bit_by_bit_that_of_a_run_without_and_the_last_epoch_has_the_kept_models_scores(
    config: Config, robust: ShardSet, model: str, patience: int, every: int
) -> None:
    config = with_(with_(config, "model", name=model, options=NARROW[model]), "train", epochs=5, patience=patience)
    plainly, scored = Recorder(), Recorder()
    first = run(config, robust, reporter=plainly)
    second = run(perturbed(config, every), robust, reporter=scored)
    assert without(plain(second.to_dict())) == without(plain(first.to_dict()))
    for ours, theirs in zip(scored.states, plainly.states, strict=True):
        assert without(plain(ours)) == without(plain(theirs)), "weights, optimiser, bank, random states and progress"
    last = second.history[-1].epoch
    for report, state in zip(second.history, scored.states, strict=True):
        due = report.epoch % every == 0 or report.epoch == last
        assert report.robust == (pytest.approx(alone(state, robust)) if due else {})
    assert not any(report.robust for report in first.history)


def test_a_best_epoch_is_scored_once_and_a_resumed_run_knows_it(config: Config, robust: ShardSet) -> None:
    # So small a step that the first epoch stays the best one.
    config = perturbed(config, 1, epochs=4, lr=1e-12)
    source = LocalSource(robust, config.data.modalities)
    run_of_four = TrainingRun(config, source, robust)
    run_of_four.prepare()
    first, second = run_of_four.epoch(), run_of_four.epoch()
    assert first.best_epoch == second.best_epoch == 1
    assert second.robust is first.robust
    resumed = TrainingRun(config, source, robust)
    resumed.restore(run_of_four.state())
    assert resumed.epoch().robust == first.robust
    assert resumed.robust_scores is not None


def test_resuming_equals_never_having_stopped_and_runs_that_share_a_cache(config: Config, robust: ShardSet) -> None:
    config = perturbed(config, 2, epochs=4)
    whole = Recorder()
    final = run(config, robust, reporter=whole)
    resumed = run(config, robust, state=whole.states[0])
    assert [report.robust for report in resumed.history] == [report.robust for report in final.history]
    cache = RunCache(LocalSource(robust, config.data.modalities), robust.info)
    for _ in range(2):
        shared = TrainingRun(config, LocalSource(robust, config.data.modalities), robust, cache)
        shared.prepare()
        reports = [shared.epoch() for _ in range(4)]
        assert [report.robust for report in reports] == [report.robust for report in final.history]
    streamed = run(with_(config, "data", cache_mb=0), robust)
    assert streamed.history[-1].robust.keys() == SCORES


def test_an_older_history_has_none(config: Config, robust: ShardSet) -> None:
    report = run(perturbed(config, 1, epochs=1), robust).history[0]
    content = report.to_dict()
    assert EpochReport(**content) == report
    assert content.pop("robust").keys() == SCORES
    assert EpochReport(**content).robust == {}


def test_a_validation_split_without_replacements_or_shifts_is_refused_before_training(
    config: Config, robust: ShardSet, tmp_path: Path
) -> None:
    dialogues = [*robust.select(split="train"), *robust.select(split="test"), next(iter(robust.select(split="val")))]
    dialogues[-1] = replace(dialogues[-1], labels=np.zeros_like(dialogues[-1].labels))
    write_shards(dialogues, tmp_path / "one", robust.info)
    shards = read_shards(tmp_path / "one")
    check_shards(shards, ["text"])
    with pytest.raises(DataError) as refusal:
        run(perturbed(config, 1), shards)
    assert len(refusal.value.problems) == 3
    assert all("train.perturb_every" in problem for problem in refusal.value.problems)
    assert "by some with the same emotion, that emotion must occur in two" in refusal.value.problems[0]
    assert "a different emotion" in refusal.value.problems[1]
    assert "must have emotion shifts" in refusal.value.problems[2]


LABELS = st.lists(st.lists(st.integers(-1, 2), min_size=1, max_size=5), min_size=1, max_size=4)


@given(LABELS)
def test_what_is_refused_is_what_cannot_be_drawn(labels: list[list[int]]) -> None:
    lengths = np.array([len(row) for row in labels], np.int64)
    flat = np.concatenate([np.array(row, np.int32) for row in labels])
    index = DialogueIndex(
        dialogue_ids=tuple(f"d{number}" for number in range(len(labels))),
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        labels=flat,
        speakers=np.zeros_like(flat),
        shards=("",) * len(labels),
        rows=np.arange(len(labels)),
    )
    problems = robustness_problems(index, ("a", "b", "c"))
    for kind, words in (("eccs", "the same"), ("eics", "a different")):
        try:
            substitute_context(index, index, kind, seed=0)
            drawn = True
        except ValueError:
            drawn = False
        assert drawn != any(f"by some with {words} emotion" in problem for problem in problems)


def test_scoring_draws_nothing_and_leaves_the_model_in_its_mode(config: Config, robust: ShardSet) -> None:
    scored = TrainingRun(perturbed(config, 1), LocalSource(robust, config.data.modalities), robust)
    scored.prepare()
    before = torch.get_rng_state()
    assert scored.robust_scores is not None
    scores = scored.robust_scores.of(scored.model.train())
    assert scores.keys() == SCORES
    assert scored.model.training
    assert torch.equal(torch.get_rng_state(), before)
