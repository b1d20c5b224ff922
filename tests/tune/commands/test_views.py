import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from dclf.config import Config, DataConfig, LossConfig
from dclf.training.reports import EpochReport, FinalReport
from tests.tune.commands.conftest import epoch_report
from tune.commands.live import RichView
from tune.commands.views import Clock, JsonLinesView, PlainView, duration, headline, score_lines

CONFIG = Config(data=DataConfig(shards="shards/demo"))


def test_plain_lines(history: list[EpochReport], final: FinalReport) -> None:
    stream = io.StringIO()
    with PlainView(stream) as view:
        view.started(CONFIG, ["1 worker, 1 CPU"], "bold", "3f2a")
        for report in history:
            view.epoch(report)
        view.restarted(1)
        view.note("the server is back")
        view.finished(final)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["mmgcn (causal) with DCLF on shards/demo, run bold (3f2a)", "1 worker, 1 CPU"]
    assert lines[2] == (
        "epoch 1/4  total 1.500  ce 1.000  ca 0.250  val WF1 50.00  best 50.00 (epoch 1)  2.0 s  left 0:06"
    )
    assert lines[4].endswith("val WF1 60.00  best 62.50 (epoch 2)  2.0 s  left 0:02")
    assert lines[5:7] == [
        "a worker was lost: training goes on from the last checkpoint (restart 1)",
        "the server is back",
    ]
    assert [line.split() for line in lines[7:]] == [
        ["split", "WA", "WF1", "happy", "sad"],
        ["val", "75.00", "62.50", "50.00", "50.00"],
        ["test", "75.00", "72.07", "50.00", "50.00"],
    ]


def test_score_columns_line_up(final: FinalReport) -> None:
    assert len({len(line) for line in score_lines(final)}) == 1


def test_json_lines_are_one_object_per_event(history: list[EpochReport], final: FinalReport) -> None:
    stream = io.StringIO()
    with JsonLinesView(stream) as view:
        view.started(CONFIG, ["plan"], "bold", "3f2a")
        view.epoch(history[0])
        view.restarted(2)
        view.note("text")
        view.finished(final)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["started", "epoch", "restarted", "note", "finished"]
    assert events[0]["config"]["data"]["shards"] == "shards/demo"
    assert {key: value for key, value in events[1].items() if key != "event"} == history[0].to_dict()
    assert events[4]["splits"]["test"]["confusion"] == [[3, 1], [1, 3]]


def test_what_an_epoch_saw_on_test_is_named_as_such(history: list[EpochReport], final: FinalReport) -> None:
    looked = [replace(report, peeked={"wf1": 0.7}) for report in history]
    plain, lines = io.StringIO(), io.StringIO()
    with PlainView(plain) as view:
        view.epoch(looked[0])
    assert "val WF1 50.00  best 50.00 (epoch 1)  peeked test WF1 70.00  2.0 s" in plain.getvalue()
    moving, console = live([0.0])
    with moving:
        moving.epoch(looked[0])
        assert "peeked test WF1 70.00" in frame(moving, console)
    with JsonLinesView(lines) as told:
        told.epoch(looked[0])
        told.finished(replace(final, history=looked))
    epoch, finished = (json.loads(line) for line in lines.getvalue().splitlines())
    assert epoch["peeked"] == {"wf1": 0.7}
    assert finished["paper"]["optimism_gap"] == pytest.approx(-2.07)


def test_json_lines_say_that_a_run_failed() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="no shards"), JsonLinesView(stream):
        raise ValueError("no shards")
    assert json.loads(stream.getvalue()) == {"event": "failed", "error": "no shards"}


def live(now: list[float], width: int = 90) -> tuple[RichView, Console]:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, record=True, color_system=None)
    return RichView(console, now=lambda: now[0]), console


def frame(view: RichView, console: Console) -> str:
    """What the panel shows at this moment."""
    still = Console(file=io.StringIO(), width=console.width, record=True)
    still.print(view.render())
    return still.export_text()


def test_the_live_panel_shows_the_state_of_the_run(history: list[EpochReport]) -> None:
    now = [100.0]
    view, console = live(now)
    with view:
        now[0] = 107.0
        assert "starting, 0:07" in frame(view, console)
        view.started(CONFIG, ["1 worker"], "bold", "3f2a")
        assert "waiting for the first epoch" in frame(view, console)
        for report in history:
            view.epoch(report)
        shown = frame(view, console)
    for part in (
        "mmgcn (causal) with DCLF on shards/demo",
        "epoch 3/4",
        "0:07 spent, 0:02 left",
        "total 0.500  ce 0.333  ca 0.250",
        "val WF1  60.00  best 62.50 (epoch 2)",
    ):
        assert part in shown
    assert "scoring" not in shown


def test_after_the_last_epoch_the_panel_says_what_is_going_on() -> None:
    view, console = live([0.0])
    with view:
        view.epoch(epoch_report(4, 0.5, (1, 0.5)))
        assert "scoring the test split" in frame(view, console)


def test_what_is_said_stays_above_the_panel(final: FinalReport) -> None:
    view, console = live([0.0])
    with view:
        view.started(CONFIG, ["2 workers, [1, 4]"], "bold", "3f2a")
        view.note("[not markup]")
        view.restarted(1)
        view.finished(final)
    text = console.export_text()
    for part in ("2 workers, [1, 4]", "[not markup]", "restart 1", "72.07"):
        assert part in text


def test_a_failing_run_gives_the_terminal_back() -> None:
    view, console = live([0.0])
    with pytest.raises(RuntimeError), view:
        raise RuntimeError
    show_cursor = "\x1b[?25h"
    assert show_cursor in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_narrow_terminal_does_not_break_the_panel(history: list[EpochReport]) -> None:
    view, console = live([0.0], width=40)
    with view:
        view.epoch(history[0])
        assert all(len(line) <= 40 for line in frame(view, console).splitlines())


def test_time_left_comes_from_the_latest_epochs() -> None:
    clock = Clock()
    assert clock.left == 0.0
    clock.add(epoch_report(1, 0.5, (1, 0.5), epochs=20, seconds=60.0))
    for epoch in range(2, 12):
        clock.add(epoch_report(epoch, 0.5, (1, 0.5), epochs=20, seconds=1.0))
    assert clock.left == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3600, "1:00:00"), (7322, "2:02:02")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("ablate", "text"), [("none", "with DCLF on"), ("base", "without DCLF on"), ("no_ica", "with DCLF, no_ica on")]
)
def test_the_headline_says_what_is_trained(ablate: str, text: str) -> None:
    config = Config(data=DataConfig(shards="x"), loss=LossConfig(ablate=ablate))  # type: ignore[arg-type]
    assert text in headline(config, "bold", "3f2a")
