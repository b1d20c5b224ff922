"""Two gloo processes on loopback against one process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from dclf.config import Config
from dclf.data import SPLITS, read_shards, write_shards
from dclf.data.dialogue import Dialogue
from dclf.data.reader import ShardSet
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun, train
from dclf.training.reports import FinalReport
from dclf.training.workers import Workers
from tests.dclf.sparse import made_sparse

MODALITIES = ("text", "audio", "visual")


class Share(LocalSource):
    """A deliberately lopsided part of the dialogues: rank 0 gets all but every fifth."""

    def __init__(self, shards: ShardSet, modalities: tuple[str, ...], rank: int) -> None:
        super().__init__(shards, modalities)
        self._rank = rank

    def dialogues(self, split: str) -> Iterator[Dialogue]:
        return (d for i, d in enumerate(super().dialogues(split)) if (i % 5 == 0) == (self._rank == 1))


def robust_scores(config: Config, source: LocalSource) -> dict[str, float]:
    """Of a model that nothing was summed for yet, so that every layout has the same to the bit."""
    run = TrainingRun(config, source, read_shards(config.data.shards))
    assert run.robust_scores is not None
    return run.robust_scores.of(run.model)


def summed_gradients(rank: int) -> list[list[float] | None]:
    """Of a parameter for which both workers have a gradient, of one for which the second has, and of one without."""
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    for parameter in parameters[: 1 + rank]:
        parameter.grad = torch.full((2,), 1.0 + rank)
    Workers(torch.device("cpu")).sum_gradients(parameters)
    return [None if one.grad is None else one.grad.tolist() for one in parameters]


def _work(rank: int, store: str, out: str, configs: list[dict[str, object]]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for number, config in enumerate(configs):
        run = Config.from_dict(config)
        shards = read_shards(run.data.shards)
        final = train(run, Share(shards, run.data.modalities, rank), shards)
        Path(f"{out}-{number}-{rank}.json").write_text(json.dumps(final.to_dict()))
        if run.train.perturb_every:
            Path(f"{out}-robust-{rank}.json").write_text(
                json.dumps(robust_scores(run, Share(shards, MODALITIES, rank)))
            )
    Path(f"{out}-gradients-{rank}.json").write_text(json.dumps(summed_gradients(rank)))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def one_batch(config: Config) -> Config:
    """One batch holds the whole split, so both layouts take the same steps, and nothing is drawn.

    Dropout is off, since its draws differ, and so is the modality contrast, which compares utterances of one worker's
    batch only.
    """
    return replace(
        config,
        model=replace(config.model, options={**config.model.options, "dropout": 0.0}),
        loss=replace(config.loss, ablate="no_mccl"),
        train=replace(config.train, epochs=3, batch_size=200, clip_norm=1.0),
    )


@pytest.fixture(scope="module")
def curriculum(one_batch: Config) -> Config:
    """The same, with fewer dialogues in the first epochs: the first bucket's lie unevenly among the workers."""
    return replace(one_batch, train=replace(one_batch.train, curriculum=3))


@pytest.fixture(scope="module")
def long(config: Config, enough: ShardSet) -> Config:
    return replace(
        config,
        train=replace(config.train, epochs=12, perturb_every=12),
        data=replace(config.data, shards=str(enough.path)),
    )


@pytest.fixture(scope="module")
def unlabelled(one_batch: Config, shards: ShardSet, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The same on dialogues most of whose gaps are in the second worker's share."""
    folder = tmp_path_factory.mktemp("uneven") / "set"
    write_shards(_uneven(shards), folder, shards.info)
    loss = replace(one_batch.loss, class_weights="balanced")
    return replace(one_batch, data=replace(one_batch.data, shards=str(folder)), loss=loss)


def _uneven(shards: ShardSet) -> Iterator[Dialogue]:
    """Every fifth dialogue but the first has no label at all and half of its rows; the others are whole."""
    for split in SPLITS:
        for place, dialogue in enumerate(shards.select(split)):
            yield made_sparse([dialogue], 1.0, 0.5)[0] if place and place % 5 == 0 else dialogue


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the two workers write."""
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def pairs(
    one_batch: Config, long: Config, unlabelled: Config, curriculum: Config, folder: Path
) -> list[tuple[FinalReport, FinalReport]]:
    """What either worker says of each training."""
    configs = [one_batch, long, unlabelled, curriculum]
    arguments = (str(folder / "store"), str(folder / "final"), [one.to_dict() for one in configs])
    multiprocessing.spawn(_work, args=arguments, nprocs=2)

    def report_of(number: int, rank: int) -> FinalReport:
        return FinalReport.from_dict(json.loads((folder / f"final-{number}-{rank}.json").read_text()))

    return [(report_of(number, 0), report_of(number, 1)) for number in range(len(configs))]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "case"), [(0, "one_batch"), (2, "unlabelled"), (3, "curriculum")])
def test_unequal_shares_of_one_batch_give_the_losses_of_one_worker(
    request: pytest.FixtureRequest, number: int, case: str, pairs: list[tuple[FinalReport, FinalReport]]
) -> None:
    run: Config = request.getfixturevalue(case)
    shards = read_shards(run.data.shards)
    alone = train(run, LocalSource(shards, run.data.modalities), shards)
    first, second = pairs[number]
    assert first.splits == second.splits
    for one, two in zip(alone.history, first.history, strict=True):
        assert two.losses == pytest.approx(one.losses, rel=1e-4)
        assert two.validation["wf1"] == pytest.approx(one.validation["wf1"], abs=0.02)
    assert first.splits["test"].utterances == alone.splits["test"].utterances


@pytest.mark.slow
def test_two_workers_learn_as_one_does(
    long: Config, enough: ShardSet, pairs: list[tuple[FinalReport, FinalReport]]
) -> None:
    alone = train(long, LocalSource(enough, long.data.modalities), enough)
    first, second = pairs[1]
    assert [report.robust for report in first.history] == [report.robust for report in second.history]
    assert first.history[-1].robust.keys() == {"eccs/wf1", "eics/wf1", "shift/wf1"}
    assert first.splits["test"].scores["wf1"] == pytest.approx(alone.splits["test"].scores["wf1"], abs=0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("pairs")
def test_scores_under_substituted_contexts_are_exactly_those_of_one_worker(long: Config, folder: Path) -> None:
    alone = robust_scores(long, LocalSource(read_shards(long.data.shards), MODALITIES))
    for rank in (0, 1):
        assert json.loads((folder / f"final-robust-{rank}.json").read_text()) == alone


@pytest.mark.slow
@pytest.mark.usefixtures("pairs")
def test_a_parameter_without_a_gradient_on_any_worker_keeps_none(folder: Path) -> None:
    for rank in (0, 1):
        gradients = json.loads((folder / f"final-gradients-{rank}.json").read_text())
        assert gradients == [[3.0, 3.0], [2.0, 2.0], None]
