import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.tune.commands.conftest import epoch_report
from tests.tune.commands.studies import end, start, study_folder
from tune.commands.study_views import (
    JsonLinesStudyView,
    PlainStudyView,
    QuietStudyView,
    headline,
)
from tune.commands.study_views_live import RichStudyView
from tune.commands.study_views_state import StudyState, counts_text, params_text, values_text
from tune.commands.view_choice import choose_study_view
from tune.study.folder import StudyFolder
from tune.study.scores import Score

LONG = {"model.options.hidden": 100, "train.lr": 0.00012345, "data.modalities": ["text", "audio"], "loss.tau": 0.07}


class Watch:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return study_folder(tmp_path)


def run_three(view: Any, folder: StudyFolder, watch: Watch) -> None:
    """One trial complete after 60 s, one failed after 30 s, one in its second epoch."""
    view.started(folder, ["2 trials at a time, [each]"], "3f2a")
    for _ in range(2):
        view.trial(start(folder))
    watch.time += 30
    view.trial(end(folder, 1, "failed", reason="out of memory"))
    view.trial(start(folder, **{"loss.gamma_ca": 0.1}))
    view.epoch(0, 0, epoch_report(1, 0.5, (1, 0.5)))
    watch.time += 30
    view.trial(end(folder, 0, "complete", 0.625))
    view.epoch(2, 0, epoch_report(2, 0.55, (1, 0.58)))


def test_the_state_counts_and_finds_the_best(folder: StudyFolder, watch: Watch) -> None:
    state = StudyState(watch)
    run_three(_Told(state), folder, watch)
    assert counts_text(state) == "1 complete, 1 running, 0 pruned, 1 failed, 1 waiting"
    assert (state.ended, state.waiting, state.spent) == (2, 1, 60.0)
    assert state.best is not None
    assert state.best.number == 0
    assert [trial.number for trial in state.recent] == [0, 1]


class _Told:
    """Tells a state what a view would."""

    def __init__(self, state: StudyState) -> None:
        self._state = state
        self.trial, self.epoch = state.trial, state.epoch

    def started(self, folder: StudyFolder, _plan: list[str], run_id: str) -> None:
        self._state.started(folder, run_id)


def test_time_left_comes_from_ended_trials_and_those_that_run(folder: StudyFolder, watch: Watch) -> None:
    state = StudyState(watch)
    assert state.left is None
    run_three(_Told(state), folder, watch)
    # Trials took 30 and 60 s. One waits, one has run for 30 of 45 s, and two run at a time.
    assert state.left == pytest.approx((45 + 15) / 2)
    watch.time += 60
    assert state.left == pytest.approx(45 / 2)


def test_before_the_first_end_epochs_tell_the_time_left(folder: StudyFolder, watch: Watch) -> None:
    state = StudyState(watch)
    state.started(folder, "3f2a")
    state.trial(start(folder))
    assert state.left is None
    state.epoch(0, 0, epoch_report(1, 0.5, (1, 0.5), epochs=10, seconds=3.0))
    assert state.left == pytest.approx(4 * 30.0)


def test_the_last_trial_s_own_rest_bounds_the_time_left(tmp_path: Path, watch: Watch) -> None:
    folder, state = study_folder(tmp_path, trials=3), StudyState(watch)
    state.started(folder, "3f2a")
    for _ in range(2):
        state.trial(start(folder))
    watch.time += 40
    for number in range(2):
        state.trial(end(folder, number, "complete", 0.5))
    state.trial(start(folder))
    assert state.left == pytest.approx(40.0)


def test_time_bounds_what_is_left_but_running_trials_are_finished(tmp_path: Path, watch: Watch) -> None:
    folder, state = study_folder(tmp_path, trials=0, time="2min"), StudyState(watch)
    state.started(folder, "3f2a")
    state.trial(start(folder))
    watch.time += 50
    state.trial(end(folder, 0, "complete", 0.5))
    assert state.left == pytest.approx(70.0)
    state.trial(start(folder))
    watch.time += 65
    state.trial(start(folder))
    assert state.left == pytest.approx(50.0)


def test_a_resumed_study_knows_what_was_done(folder: StudyFolder, watch: Watch) -> None:
    end(folder, start(folder).number, "complete", 0.625)
    start(folder)
    state = StudyState(watch)
    state.started(StudyFolder.open(folder.path.parent, "gammas"), "3f2a")
    assert counts_text(state) == "1 complete, 0 running, 0 pruned, 0 failed, 3 waiting"
    assert state.best is not None


def test_a_minimised_objective_s_best_is_the_least(tmp_path: Path, watch: Watch) -> None:
    folder, state = study_folder(tmp_path, objectives={"wf1": "minimize"}), StudyState(watch)
    state.started(folder, "3f2a")
    for value in (0.6, float("nan"), 0.5, 0.55):
        state.trial(end(folder, start(folder).number, "complete", value))
    assert state.best is not None
    assert state.best.values == (0.5,)


def test_many_trials_leave_no_records_behind(tmp_path: Path, watch: Watch) -> None:
    folder, state = study_folder(tmp_path, trials=0, time=""), StudyState(watch)
    state.started(folder, "3f2a")
    for _ in range(50):
        state.trial(end(folder, start(folder).number, "complete", 0.5))
    assert len(state.recent) < 10
    assert not state.running
    assert state.left is None


def test_values_and_parameters_as_text() -> None:
    scores = (Score(name="wf1"), Score(name="wa"))
    assert values_text(scores, (0.625, 0.7)) == "62.50, wa 70.00"
    assert values_text(scores, ()) == "–"
    assert params_text({"loss.gamma_ca": 0.61234567, "data.modalities": ["text", "audio"]}) == (
        "gamma_ca 0.6123  modalities text + audio"
    )
    assert params_text({}) == "as configured"


def test_plain_lines(folder: StudyFolder, watch: Watch) -> None:
    stream = io.StringIO()
    with PlainStudyView(stream, StudyState(watch)) as view:
        run_three(view, folder, watch)
        view.note("the server is back")
        view.finished(folder)
    assert stream.getvalue().splitlines() == [
        "study gammas: 4 trials within 1h by tpe and asha, mmgcn on shards/demo, run 3f2a",
        "2 trials at a time, [each]",
        "trial 1 failed  –  (out of memory)  1 of 4 trials  left 0:30  gamma_ca 0.6  window 4",
        "trial 0 complete  62.50  best 62.50 (trial 0)  2 of 4 trials  left 0:30  gamma_ca 0.6  window 4",
        "the server is back",
        "1 complete, 1 running, 0 pruned, 1 failed, 1 waiting; took 1:00",
    ]


def test_plain_lines_of_a_resumed_study_begin_with_what_is_done(folder: StudyFolder, watch: Watch) -> None:
    end(folder, start(folder).number, "complete", 0.625)
    stream = io.StringIO()
    PlainStudyView(stream, StudyState(watch)).started(folder, [], "3f2a")
    assert "so far: 1 complete, 0 running" in stream.getvalue()


def test_json_lines_are_one_object_per_event(folder: StudyFolder, watch: Watch) -> None:
    stream = io.StringIO()
    with JsonLinesStudyView(stream) as view:
        run_three(view, folder, watch)
        view.note("text")
        view.finished(folder)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds == ["started", *["trial"] * 4, "epoch", "trial", "epoch", "note", "finished"]
    assert events[0]["settings"]["trials"] == 4
    assert [(event["number"], event["state"]) for event in events if event["event"] == "trial"] == [
        (0, "running"),
        (1, "running"),
        (1, "failed"),
        (2, "running"),
        (0, "complete"),
    ]
    assert events[5] == {"event": "epoch", "trial": 0, "seed": 0, **epoch_report(1, 0.5, (1, 0.5)).to_dict()}


def test_json_lines_say_that_a_study_failed() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), JsonLinesStudyView(stream):
        raise KeyboardInterrupt
    assert json.loads(stream.getvalue()) == {"event": "failed", "error": "KeyboardInterrupt"}


def live(watch: Watch, width: int = 100, height: int = 30) -> tuple[RichStudyView, Console]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=height, record=True, color_system=None)
    return RichStudyView(console, now=watch), console


def frame(view: RichStudyView, console: Console) -> list[str]:
    """What the panel shows at this moment."""
    still = Console(file=io.StringIO(), width=console.width, record=True)
    still.print(view.render())
    return still.export_text().splitlines()


def test_a_comparison_has_no_best_variant_on_its_way(tmp_path: Path, watch: Watch) -> None:
    folder = study_folder(tmp_path, test="all", time="")
    plain, (view, console) = io.StringIO(), live(watch)
    run_three(PlainStudyView(plain, StudyState(watch)), folder, watch)
    view.started(folder, [], "3f2a")
    shown = "\n".join(frame(view, console))
    for text in (plain.getvalue(), shown):
        assert "complete" in text
        assert "best" not in text


def test_the_live_panel_shows_the_state_of_the_study(folder: StudyFolder, watch: Watch) -> None:
    view, console = live(watch)
    with view:
        watch.time += 7
        assert "starting, 0:07" in "\n".join(frame(view, console))
        run_three(view, folder, watch)
        lines = frame(view, console)
    shown = "\n".join(lines)
    for part in (
        "study gammas · 4 trials within 1h",
        "2 of 4 trials",
        "1:07 spent, 0:30 left",
        "1 complete, 1 running, 0 pruned, 1 failed, 1 waiting",
        "best 62.50 by trial 0 (validation WF1)  gamma_ca 0.6  window 4",
        "0  complete  62.50",
        "1  failed        –  out of memory",
    ):
        assert part in shown
    (row,) = [line.split() for line in lines if "2/4" in line]
    assert row[1:3] == ["2", "2/4"]
    assert row[-7:-1] == ["55.00", "58.00", "gamma_ca", "0.1", "window", "4"]


def test_a_trial_without_an_epoch_is_starting(folder: StudyFolder, watch: Watch) -> None:
    view, console = live(watch)
    with view:
        view.started(folder, [], "3f2a")
        assert "waiting for the first trial" in "\n".join(frame(view, console))
        view.trial(start(folder))
        shown = "\n".join(frame(view, console))
    assert "starting" in shown
    assert "none yet" in shown


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("height", [16, 24, 50])
@pytest.mark.parametrize("running", [1, 4, 16])
def test_the_panel_fits_every_terminal(tmp_path: Path, watch: Watch, width: int, height: int, running: int) -> None:
    folder = study_folder(tmp_path, trials=40, seeds=3)
    view, console = live(watch, width, height)
    with view:
        view.started(folder, [], "3f2a")
        for state in ("complete", "pruned", "failed", "complete", "complete"):
            view.trial(end(folder, start(folder, **LONG).number, state, 0.5, reason="out of memory " * 10))
        for _ in range(running):
            trial = start(folder, **LONG)
            view.trial(trial)
            view.epoch(trial.number, 2, epoch_report(1, 0.5, (1, 0.5), epochs=100))
        lines = frame(view, console)
    assert len(lines) <= height
    assert all(len(line) == width for line in lines)
    assert f"{running} running" in "\n".join(lines) or width == 40


def test_the_panel_keeps_its_height_when_trials_end(tmp_path: Path, watch: Watch) -> None:
    folder = study_folder(tmp_path, trials=40)
    view, console = live(watch)
    with view:
        view.started(folder, [], "3f2a")
        for _ in range(8):
            view.trial(end(folder, start(folder).number, "complete", 0.5))
        trials = [start(folder) for _ in range(4)]
        for trial in trials:
            view.trial(trial)
        before = len(frame(view, console))
        for trial in trials[:3]:
            view.trial(end(folder, trial.number, "pruned", 0.5))
        assert len(frame(view, console)) == before


def test_what_is_said_stays_above_the_panel_and_the_counts_below(folder: StudyFolder, watch: Watch) -> None:
    view, console = live(watch)
    with view:
        run_three(view, folder, watch)
        view.note("[not markup]")
        view.finished(folder)
    text = console.export_text()
    assert "2 trials at a time, [each]" in text
    assert "[not markup]" in text
    assert text.rstrip().endswith("1 complete, 1 running, 0 pruned, 1 failed, 1 waiting; 1:00 spent")


def test_a_failing_study_gives_the_terminal_back(watch: Watch) -> None:
    view, console = live(watch)
    with pytest.raises(RuntimeError), view:
        raise RuntimeError
    show_cursor = "\x1b[?25h"
    assert show_cursor in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_headline_leaves_out_what_is_not_there(tmp_path: Path) -> None:
    folder = study_folder(tmp_path, trials=0, scheduler="none", sampler="gp")
    assert headline(folder, "3f2a") == "study gammas: 1h by gp, mmgcn on shards/demo, run 3f2a"


@pytest.mark.parametrize(
    ("log", "quiet", "tty", "kind"),
    [
        ("auto", False, True, RichStudyView),
        ("auto", False, False, PlainStudyView),
        ("live", False, False, RichStudyView),
        ("jsonl", False, True, JsonLinesStudyView),
        ("auto", True, True, QuietStudyView),
    ],
)
def test_the_view_suits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, log: str, quiet: bool, tty: bool, kind: type[QuietStudyView]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: tty)
    assert type(choose_study_view(log, quiet=quiet)) is kind
