"""What one run leaves for the next changes no run, and spares the reading and the first pass."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.config import Ablation, Config
from dclf.data.dialogue import Dialogue
from dclf.data.errors import DataError
from dclf.data.reader import ShardSet
from dclf.models.framework import DCLF
from dclf.training import run_cache
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun
from dclf.training.run_cache import RunCache
from tests.dclf.training.test_loop import NARROW, SpySource, with_

CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "gammas": ("loss", {"gamma_ca": 0.1, "gamma_mc": 0.9}),
    "window": ("loss", {"window": 9}),
    "temperature": ("loss", {"temperature": 0.4}),
    "projection": ("loss", {"projection": "linear"}),
    "state": ("loss", {"state": "hidden"}),
    "seed": ("train", {"seed": 7}),
    "batch": ("train", {"batch_size": 5}),
    "learning rate": ("train", {"lr": 1e-4}),
    "model": ("model", {"name": "ddin", "options": NARROW["ddin"]}),
    "causal": ("model", {"name": "ddin", "options": NARROW["ddin"], "causal": True}),
    "modalities": ("data", {"modalities": ("text",)}),
    "no cache": ("data", {"cache_mb": 0}),
}
ALIKE = ("gammas", "window", "temperature", "learning rate")
"""Changes after which a run begins like the one before."""


def after_an_epoch(run: TrainingRun) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    run.prepare()
    report = run.epoch()
    state = {f"model.{name}": tensor.clone() for name, tensor in run.model.state_dict().items()}
    if run.bank is not None:
        state |= {f"bank.{name}": tensor.clone() for name, tensor in run.bank.state_dict().items()}
    return {**report.losses, **report.validation}, state


_ALONE: dict[str, tuple[dict[str, float], dict[str, torch.Tensor]]] = {}
"""What configurations came to without a cache; Hypothesis asks for some of them many times."""


def assert_the_same(config: Config, shards: ShardSet, shared: RunCache) -> None:
    source = LocalSource(shards, config.data.modalities)
    scores, state = after_an_epoch(TrainingRun(config, source, shards, shared))
    if str(config) not in _ALONE:
        _ALONE[str(config)] = after_an_epoch(TrainingRun(config, source, shards))
    alone, alone_state = _ALONE[str(config)]
    assert scores == alone
    assert state.keys() == alone_state.keys()
    assert all(torch.equal(state[name], alone_state[name]) for name in state)


@pytest.fixture
def shared(config: Config, shards: ShardSet) -> RunCache:
    return RunCache(LocalSource(shards, config.data.modalities), shards.info)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every pass of a batch through a model."""
    calls: list[int] = []
    forward = DCLF.forward

    def counting(self: DCLF, *args: Any) -> Any:
        calls.append(1)
        return forward(self, *args)

    monkeypatch.setattr(DCLF, "forward", counting)
    return calls


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(names=st.lists(st.sampled_from([*CHANGES, *get_args(Ablation)]), min_size=1, max_size=3), data=st.data())
def test_a_run_gives_what_it_gives_alone(shards: ShardSet, names: list[str], data: st.DataObject) -> None:
    config = Config(
        data=replace(Config().data, shards=str(shards.path)),
        model=replace(Config().model, name="mmgcn", options=NARROW["mmgcn"]),
        train=replace(Config().train, device="cpu", batch_size=8, epochs=1),
    )
    shared = RunCache(LocalSource(shards, config.data.modalities), shards.info)
    assert_the_same(config, shards, shared)
    for name in names:
        section, values = CHANGES.get(name, ("loss", {"ablate": name}))
        changed = with_(config, section, **values)
        # Changes add up, or the next run is again like the first.
        config = changed if data.draw(st.booleans()) else config
        assert_the_same(changed, shards, shared)


def test_what_two_runs_share_is_read_once(config: Config, shards: ShardSet) -> None:
    source = SpySource(shards, config.data.modalities)
    source.asked = []
    shared = RunCache(source, shards.info)
    for temperature in (0.1, 0.5):
        run = TrainingRun(with_(config, "loss", temperature=temperature), source, shards, shared)
        run.prepare()
        run.epoch()
    assert source.asked == ["train", "val"]


def test_other_modalities_are_read_anew(config: Config, shards: ShardSet) -> None:
    source = SpySource(shards, config.data.modalities)
    source.asked = []
    shared = RunCache(source, shards.info)
    for modalities in (config.data.modalities, ("text",), ("text",)):
        TrainingRun(with_(config, "data", modalities=modalities), source, shards, shared).prepare()
    assert source.asked == ["train", "train"]


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "no cache"])
def test_the_bank_is_filled_again_only_where_the_beginning_differs(
    config: Config, shards: ShardSet, shared: RunCache, passes: list[int], name: str
) -> None:
    source = LocalSource(shards, config.data.modalities)
    TrainingRun(config, source, shards, shared).prepare()
    assert passes
    passes.clear()
    section, values = CHANGES[name]
    TrainingRun(with_(config, section, **values), source, shards, shared).prepare()
    assert bool(passes) == (name not in ALIKE)


def test_what_no_run_has_needed_for_longest_makes_room(
    config: Config, shards: ShardSet, shared: RunCache, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = LocalSource(shards, config.data.modalities)

    def fills(seed: int) -> bool:
        passes.clear()
        run = TrainingRun(with_(config, "train", seed=seed), source, shards, shared)
        run.prepare()
        assert run.bank is not None
        # Room for two of them.
        size = sum(tensor.nbytes for tensor in run.bank.state_dict().values())
        monkeypatch.setattr(run_cache, "FILLINGS_BYTES", 2 * size)
        return bool(passes)

    assert [fills(seed) for seed in (1, 2, 1, 3, 1, 2)] == [True, True, False, True, False, True]


def test_a_split_that_is_not_valid_is_refused_by_every_run(config: Config, shards: ShardSet) -> None:
    class Broken(LocalSource):
        def dialogues(self, split: str) -> Iterator[Dialogue]:
            for dialogue in super().dialogues(split):
                features = {**dialogue.features, "text": dialogue.features["text"] * float("nan")}
                yield replace(dialogue, features=features)

    source = Broken(shards, config.data.modalities)
    shared = RunCache(source, shards.info)
    for _ in range(2):
        with pytest.raises(DataError, match="NaN"):
            TrainingRun(config, source, shards, shared).prepare()
