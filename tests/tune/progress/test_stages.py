import io
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dclf.training.reports import EpochReport, FinalReport
from tests.tune.progress.reports import Watch
from tune.progress.json_lines import JsonLines
from tune.progress.lines import Lines
from tune.progress.stages import MLFLOW, RAY, SHARDS, StartClock
from tune.study.events import EpochEnded, Event, RunFinished, StageEnded, TrialEpoch


def started(watch: Watch) -> StartClock:
    """A clock whose stages took half a second and two seconds."""
    clock = StartClock(watch)
    with clock.stage(SHARDS):
        watch.time += 0.5
    with clock.stage(MLFLOW):
        watch.time += 2
    return clock


def test_the_first_epoch_says_when_its_first_batch_was_due(watch: Watch, history: list[EpochReport]) -> None:
    events: list[Event] = []
    clock = started(watch)
    clock(EpochEnded(history[0]))
    assert events == [], "nobody listens yet"
    clock.tell([events.append])
    assert events == [StageEnded("shards", 0.5), StageEnded("MLflow", 2.0)]
    watch.time += 3 + history[0].seconds
    for report in history:
        clock(TrialEpoch(0, 1, report))
    assert events[2:] == [StageEnded("first batch", 3.0)]


def test_an_epoch_that_took_longer_than_its_clock_says_starts_at_once(watch: Watch, history: list[EpochReport]) -> None:
    events: list[Event] = []
    clock = StartClock(watch)
    clock.tell([events.append])
    clock(EpochEnded(history[0]))
    assert events == [StageEnded("first batch", 0.0)]


def test_entering_is_measured_and_what_is_done_inside_is_not(watch: Watch) -> None:
    @contextmanager
    def slow() -> Iterator[str]:
        watch.time += 4
        yield "inside"
        watch.time += 8

    clock, events = StartClock(watch), list[Event]()
    with clock.entering(RAY, slow()) as value:
        watch.time += 16
    clock.tell([events.append])
    assert (value, events) == ("inside", [StageEnded("Ray", 4.0)])


def test_a_stage_that_fails_is_none(watch: Watch) -> None:
    clock, events = StartClock(watch), list[Event]()
    with pytest.raises(OSError, match="away"), clock.stage(MLFLOW):
        raise OSError("away")
    clock.tell([events.append])
    assert events == []


def test_lines_have_one_for_all_stages() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    with lines.importing():
        pass
    for name, seconds in (("shards", 0.06), ("Ray", 5.25), ("first batch", 3.0)):
        lines(StageEnded(name, seconds))
    assert stream.getvalue() == "started: libraries 0.0 s, shards 0.1 s, Ray 5.2 s, first batch 3.0 s\n"


def test_stages_of_a_run_that_had_no_epoch_are_forgotten(final: FinalReport) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines(StageEnded("Ray", 1.0))
    lines(RunFinished(final))
    lines(StageEnded("first batch", 2.0))
    assert stream.getvalue().splitlines()[-1] == "started: first batch 2.0 s"


def test_json_has_every_stage() -> None:
    stream = io.StringIO()
    JsonLines(stream)(StageEnded("Ray", 5.25))
    assert json.loads(stream.getvalue()) == {"event": "stage", "name": "Ray", "seconds": 5.25}
