"""Extraction on actors and in this process: the same rows, and failures that name utterances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
import ray
import torch
from ray.exceptions import ActorDiedError, NodeDiedError, ObjectLostError, OutOfMemoryError, WorkerCrashedError

from cluster.actors import ActorPlan, ActorSettings
from cluster.extraction import Actors, Arrived, OneProcess, RowSource, _arrived, extraction_workers, longest_first
from cluster.extraction_actor import RowsActor, utterance_table
from cluster.plan import PlanError
from cluster.resources import ClusterResources
from dclf.extraction import ExtractionError, ExtractorSettings, Row, Unreadable, Utterance
from tests.dclf.extraction.letters import LetterSettings
from tests.tune.tracking.server import wait_until

LETTERS = LetterSettings().resolve()
WORDS = [f"{'abca' * (number % 7)} {number}" for number in range(100)]
HERE = OneProcess("cpu", 16)
TWO_ACTORS = Actors(ActorPlan(actors=2), 8)


def utterances(texts: list[str]) -> list[Utterance]:
    return [Utterance(text=text) for text in texts]


def rows_of(arrived: Iterator[Arrived]) -> dict[int, Row]:
    return {place: row for some in arrived for place, row in zip(some.places, some.rows, strict=True)}


def extracted(workers: RowSource, texts: list[str], settings: ExtractorSettings = LETTERS) -> dict[int, Row]:
    return rows_of(workers.extract(settings, utterances(texts), [f"utterance {n}" for n in range(len(texts))]))


def counts(texts: list[str]) -> list[list[int]]:
    return [[text.count(letter) for letter in "abc"] for text in texts]


def test_rows_come_for_every_utterance() -> None:
    rows = extracted(HERE, WORDS)
    assert sorted(rows) == list(range(100))
    assert [np.asarray(rows[place]).tolist() for place in range(100)] == counts(WORDS)


@pytest.mark.ray
@pytest.mark.slow
def test_actors_give_the_rows_of_one_process_and_losing_one_costs_time_alone(
    local_ray: ClusterResources, tmp_path: Path
) -> None:
    texts = [*WORDS, "UNREADABLE", "NAN", "DEADLY"]
    rows = extracted(TWO_ACTORS, texts, replace(LETTERS, log=str(tmp_path / "log"), mortal=True))
    expected = extracted(HERE, texts)
    assert (tmp_path / "log.died").exists()
    assert sorted(rows) == sorted(expected) == list(range(103))
    assert all(np.array_equal(rows[place], expected[place]) for place in (*range(100), 102))
    wait_until(lambda: ray.available_resources().get("CPU") == local_ray.cpus)
    assert rows[100] == expected[100] == Unreadable("it is in another script")
    assert rows[101] == expected[101] == Unreadable("its row has numbers that are not finite", lasting=False)


@pytest.mark.ray
@pytest.mark.slow
def test_a_failing_batch_is_named_by_actors(local_ray: ClusterResources) -> None:
    texts = ["abcab"] * 128  # all of one length: the first task has the first sixteen, in two batches
    texts[9] = "FAILS"
    arrived: dict[int, Row] = {}
    stream = TWO_ACTORS.extract(LETTERS, utterances(texts), [f"utterance {n}" for n in range(128)])
    with pytest.raises(
        ExtractionError, match=r"^utterance 8, utterance 9, .* and 3 more: RuntimeError: no such letter"
    ):
        arrived.update(rows_of(stream))
    assert not arrived.keys() & range(8, 16)


@pytest.mark.ray
@pytest.mark.slow
def test_an_extractor_that_actors_cannot_import_is_told_at_once(
    local_ray: ClusterResources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text(
        "from tests.dclf.extraction.letters import LetterSettings\n\n\nclass Settings(LetterSettings):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = import_module("only_here").Settings().resolve()
    with pytest.raises(ExtractionError, match=r"^an actor cannot start: .*No module named 'only_here'"):
        extracted(TWO_ACTORS, WORDS, settings)


class JoinsTables(Actors):
    """Actors whose tables come joined, as Ray joins those of a task."""

    def _stream(
        self, settings: ExtractorSettings, utterances: Sequence[Utterance], places: Sequence[int], names: Sequence[str]
    ) -> Iterator[Arrived]:
        actor = RowsActor(settings, "cpu", 2)
        yield from _arrived(pa.concat_tables(actor(utterance_table(utterances, places))), names)


def test_rows_of_a_batch_arrive_where_the_next_one_of_its_task_fails() -> None:
    texts = ["aaaaaaaaaaa", "UNREADABLE", "a FAILS", "bbb"]
    stream = JoinsTables(ActorPlan(actors=1)).extract(LETTERS, utterances(texts), ["one", "two", "three", "four"])
    arrived = next(stream)
    assert arrived.places == [0, 1]
    assert np.array_equal(np.asarray(arrived.rows[0]), [11, 0, 0])
    assert arrived.rows[1] == Unreadable("it is in another script")
    with pytest.raises(ExtractionError, match=r"^three, four: RuntimeError: no such letter and more$"):
        next(stream)


def test_a_failing_batch_is_named_in_this_process() -> None:
    with pytest.raises(ExtractionError, match=r"^utterance 2, utterance 1, .* and 1 more: RuntimeError: no such"):
        extracted(HERE, ["a", "bb", "FAILS", "c", "d", "e"])
    with pytest.raises(ExtractionError, match=r"^model: broken has no weights"):
        extracted(HERE, WORDS, replace(LETTERS, model="broken"))


class Loses(Actors):
    """Actors whose node is lost at once, some times."""

    def __init__(self, loss: Exception, times: int) -> None:
        super().__init__(ActorPlan(actors=4), 8, lambda: ActorPlan(actors=2))
        self.plans: list[int] = []
        self._loss, self._times = loss, times

    def _stream(self, *_: Any) -> Iterator[Arrived]:
        self.plans.append(self._plan.actors)
        if len(self.plans) <= self._times:
            raise self._loss
        yield Arrived([0, 1], [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        ActorDiedError(),
        NodeDiedError("its node died"),
        OutOfMemoryError("the node ran low on memory"),
        ObjectLostError("ab", None, ""),
        WorkerCrashedError(),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_what_is_left_is_planned_for_what_is_left_of_the_cluster(loss: Exception) -> None:
    actors = Loses(loss, 1)
    assert len(list(actors.extract(LETTERS, utterances(["a", "b"]), ["a", "b"]))) == 1
    assert actors.plans == [4, 2], "four would wait for ever"


@pytest.mark.slow
def test_what_kills_its_process_every_time_is_named() -> None:
    with pytest.raises(ExtractionError, match=r"lost 4 times \(ActorDiedError.*\), at last with two, one to read; "):
        list(Loses(ActorDiedError(), 4).extract(LETTERS, utterances(["a", "bb"]), ["one", "two"]))


def test_one_actor_needs_no_ray() -> None:
    lines: list[str] = []
    with extraction_workers(ActorSettings(actors=1), lines.extend) as workers:
        assert len(extracted(workers, WORDS)) == 100
    assert lines == ["one batch at a time, in this process, on 1 thread"]


@dataclass(frozen=True, kw_only=True)
class ThreadSettings(LetterSettings):
    """Tells on how many threads torch computes."""

    name: ClassVar[str] = f"{__name__}:ThreadSettings"
    width: int = 1

    def load(self, device: str) -> Any:
        return self

    def rows(self, utterances: Sequence[Utterance]) -> list[Row]:
        return [np.full(1, torch.get_num_threads(), np.float32) for _ in utterances]


def test_one_process_computes_on_the_threads_of_its_actor() -> None:
    before = torch.get_num_threads()
    actors = ActorSettings(actors=1, cpus_per_actor=before + 2)
    with extraction_workers(actors, lambda _: None, 1) as workers:
        rows = extracted(workers, ["a", "b"], ThreadSettings().resolve())
        assert rows == {0: np.float32(before + 2), 1: np.float32(before + 2)}
        assert torch.get_num_threads() == before
        with closing(workers.extract(ThreadSettings().resolve(), utterances(["a", "b"]), ["a", "b"])) as stream:
            next(stream)
        assert torch.get_num_threads() == before


def test_an_actor_that_is_lost_after_its_last_row_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost_at_the_end(*_: Any) -> Iterator[Arrived]:
        yield Arrived([0, 1], [np.zeros(3, np.float32)] * 2)
        raise ActorDiedError

    monkeypatch.setattr(TWO_ACTORS, "_stream", lost_at_the_end)
    assert sorted(extracted(TWO_ACTORS, ["a", "b"])) == [0, 1]


def test_a_layout_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.actors.machine_gpus", lambda: 0)
    lines: list[str] = []
    with (
        pytest.raises(PlanError, match="a share of a GPU, the cluster has none"),
        extraction_workers(ActorSettings(gpus=0.5, actors=1), lines.extend),
    ):
        pass
    assert lines == []


def test_the_longest_go_first() -> None:
    mixed = [
        Utterance(text="short"),
        Utterance(text="longer words"),
        Utterance(recording="a.wav", start=1, end=3),
        Utterance(recording="b.wav"),
    ]
    assert longest_first(mixed) == [3, 2, 1, 0]
